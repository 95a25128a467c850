//! The embedded style sheet, scripts and sprite, served under a name that carries their hash.

use std::fmt::Write;
use std::sync::LazyLock;

use axum::extract::Path;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use rust_embed::RustEmbed;

#[derive(RustEmbed)]
#[folder = "src/web/assets/"]
struct Files;

struct Asset {
    name: String,
    /// `/static/NAME?v=HASH`
    url: String,
    etag: String,
    body: Vec<u8>,
}

static ASSETS: LazyLock<Vec<Asset>> = LazyLock::new(load);

/// Characters of the hash in the URL: 64 bits, far from any chance of a clash among eight files.
const HASH_CHARS: usize = 16;

fn load() -> Vec<Asset> {
    let mut names: Vec<String> = Files::iter().map(|name| name.into_owned()).collect();
    // The entry script imports the other modules by name, so they must be hashed before it.
    names.sort_by_key(|name| (name == "app.js", name.clone()));
    let mut assets: Vec<Asset> = Vec::with_capacity(names.len());
    for name in names {
        let Some(file) = Files::get(&name) else { continue };
        let mut body = file.data.into_owned();
        if name == "app.js" {
            body = with_hashed_imports(&body, &assets);
        }
        let hash = hash(&body);
        assets.push(Asset { url: format!("/static/{name}?v={hash}"), etag: format!("\"{hash}\""), name, body });
    }
    assets
}

/// `import './live.js'` -> `import './live.js?v=HASH'`: an immutable entry script must not load stale modules.
fn with_hashed_imports(script: &[u8], assets: &[Asset]) -> Vec<u8> {
    let mut text = String::from_utf8_lossy(script).into_owned();
    for asset in assets {
        if let Some((_, version)) = asset.url.split_once('?') {
            text = text.replace(&format!("'./{}'", asset.name), &format!("'./{}?{version}'", asset.name));
        }
    }
    text.into_bytes()
}

fn hash(body: &[u8]) -> String {
    use sha2::Digest;
    let mut hex = String::new();
    for byte in sha2::Sha256::digest(body) {
        let _ = write!(hex, "{byte:02x}");
    }
    hex.truncate(HASH_CHARS);
    hex
}

/// The versioned URL of an asset; a name that is not embedded gives a URL that answers 404.
pub fn url(name: &str) -> &'static str {
    ASSETS.iter().find(|asset| asset.name == name).map_or("/static/missing", |asset| asset.url.as_str())
}

fn mime(name: &str) -> &'static str {
    match name.rsplit('.').next() {
        Some("css") => "text/css; charset=utf-8",
        Some("js") => "text/javascript; charset=utf-8",
        Some("svg") => "image/svg+xml",
        _ => "application/octet-stream",
    }
}

/// GET `/static/{name}`
pub async fn serve(Path(name): Path<String>, headers: HeaderMap) -> Response {
    let Some(asset) = ASSETS.iter().find(|asset| asset.name == name) else {
        return (StatusCode::NOT_FOUND, "no such file").into_response();
    };
    let known = headers.get(header::IF_NONE_MATCH).is_some_and(|tag| tag.as_bytes() == asset.etag.as_bytes());
    let mut response = match known {
        true => StatusCode::NOT_MODIFIED.into_response(),
        false => asset.body.as_slice().into_response(),
    };
    let set = response.headers_mut();
    set.insert(header::CONTENT_TYPE, HeaderValue::from_static(mime(&asset.name)));
    set.insert(header::CACHE_CONTROL, HeaderValue::from_static("public, max-age=31536000, immutable"));
    set.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    if let Ok(tag) = HeaderValue::from_str(&asset.etag) {
        set.insert(header::ETAG, tag);
    }
    response
}

/// Writes every asset into `folder`, for looking at dumped pages.
#[cfg(test)]
pub(crate) fn dump(folder: &std::path::Path) {
    std::fs::create_dir_all(folder).unwrap();
    for asset in ASSETS.iter() {
        std::fs::write(folder.join(&asset.name), &asset.body).unwrap();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_module_that_the_entry_script_imports_is_embedded_and_hashed() {
        let app = ASSETS.iter().find(|asset| asset.name == "app.js").unwrap();
        let text = String::from_utf8(app.body.clone()).unwrap();
        let imports: Vec<&str> = text.lines().filter(|line| line.starts_with("import")).collect();
        assert!(imports.len() >= 4, "{text}");
        for line in imports {
            assert!(line.contains(".js?v="), "{line}");
        }
    }

    #[test]
    fn the_sheet_and_the_sprite_are_there() {
        assert!(url("stentor.css").starts_with("/static/stentor.css?v="));
        assert!(url("icons.svg").starts_with("/static/icons.svg?v="));
        assert_eq!(url("nope"), "/static/missing");
    }
}
