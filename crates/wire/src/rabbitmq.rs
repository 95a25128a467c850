//! What a look at RabbitMQ needs: the first frame of AMQP 0-9-1, and what its management interface says of nodes and queues.

use serde_json::Value;

/// Asks for AMQP 0-9-1.
pub const HEADER: &[u8; 8] = b"AMQP\0\0\x09\x01";
/// Kind, channel and length of a frame.
pub const HEAD_BYTES: usize = 7;
/// What comes behind a frame.
pub const FRAME_END: u8 = 0xce;
/// A server names itself and its capabilities in some hundred bytes.
pub const FRAME_BYTES_MAX: usize = 64 * 1024;

/// `connection.start`: who the server is.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Start {
    pub product: String,
    pub version: String,
    pub cluster: String,
    pub mechanisms: String,
}

#[derive(Copy, Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum AmqpError {
    /// It sent a header of its own: it speaks another version.
    #[error("it speaks another AMQP ({0}-{1}-{2})")]
    OtherVersion(u8, u8, u8),
    #[error("its first frame is none of AMQP")]
    Broken,
}

/// How many bytes follow the head of the first frame, its end included.
///
/// # Errors
/// It is no frame.
pub fn head(bytes: [u8; HEAD_BYTES]) -> Result<usize, AmqpError> {
    if let [b'A', b'M', b'Q', b'P', _, major, minor] = bytes {
        return Err(AmqpError::OtherVersion(major, minor, 0));
    }
    let [1, 0, 0, length @ ..] = bytes else { return Err(AmqpError::Broken) };
    let length = usize::try_from(u32::from_be_bytes(length)).unwrap_or(usize::MAX);
    if length > FRAME_BYTES_MAX { Err(AmqpError::Broken) } else { Ok(length + 1) }
}

/// Reads what follows the head.
///
/// # Errors
/// It is another method than `connection.start`.
pub fn start(frame: &[u8]) -> Result<Start, AmqpError> {
    let Some((&FRAME_END, body)) = frame.split_last() else { return Err(AmqpError::Broken) };
    let [0, 10, 0, 10, 0, 9, rest @ ..] = body else { return Err(AmqpError::Broken) };
    let (table, rest) = long(rest).ok_or(AmqpError::Broken)?;
    let (mechanisms, _) = long(rest).ok_or(AmqpError::Broken)?;
    let mut start = Start { mechanisms: lossy(mechanisms), ..Start::default() };
    let mut rest = table;
    while !rest.is_empty() {
        let (name, value, behind) = entry(rest).ok_or(AmqpError::Broken)?;
        rest = behind;
        let Some(text) = value else { continue };
        match name {
            b"product" => start.product = lossy(text),
            b"version" => start.version = lossy(text),
            b"cluster_name" => start.cluster = lossy(text),
            _ => {}
        }
    }
    Ok(start)
}

/// Name, value if it is a text, and what follows.
#[expect(clippy::type_complexity, reason = "three parts of one cut")]
fn entry(bytes: &[u8]) -> Option<(&[u8], Option<&[u8]>, &[u8])> {
    let (&length, rest) = bytes.split_first()?;
    let (name, rest) = rest.split_at_checked(usize::from(length))?;
    let (&kind, rest) = rest.split_first()?;
    let skip = match kind {
        b'S' => {
            let (text, rest) = long(rest)?;
            return Some((name, Some(text), rest));
        }
        b'F' | b'A' | b'x' => return Some((name, None, long(rest)?.1)),
        b't' | b'b' | b'B' => 1,
        b's' | b'u' => 2,
        b'I' | b'i' | b'f' => 4,
        b'l' | b'd' | b'T' => 8,
        b'D' => 5,
        b'V' => 0,
        _ => return None,
    };
    Some((name, None, rest.get(skip..)?))
}

/// Bytes behind their length in four bytes, and what follows.
fn long(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = bytes.split_first_chunk::<4>()?;
    rest.split_at_checked(usize::try_from(u32::from_be_bytes(*length)).ok()?)
}

fn lossy(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Members of a cluster, from `/api/nodes`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Nodes {
    pub all: usize,
    pub stopped: Vec<String>,
    /// `rabbit@a: memory`: publishers everywhere are blocked.
    pub alarms: Vec<String>,
    /// `rabbit@a: rabbit@b`: the first does not see the second.
    pub partitions: Vec<String>,
    /// The highest part, in percent, that any node uses of what it may.
    pub memory_pct: Option<f64>,
    pub files_pct: Option<f64>,
    /// The least room above the limit of the disk alarm.
    pub disk_left_bytes: Option<f64>,
}

impl Nodes {
    pub fn read(json: &Value) -> Option<Nodes> {
        let mut nodes = Nodes::default();
        for node in json.as_array()? {
            let name = node.get("name")?.as_str()?;
            nodes.all += 1;
            let is = |key: &str| node.get(key).and_then(Value::as_bool) == Some(true);
            let number = |key: &str| node.get(key).and_then(Value::as_f64);
            if !is("running") {
                nodes.stopped.push(name.to_owned());
                continue;
            }
            for (key, kind) in [("mem_alarm", "memory"), ("disk_free_alarm", "disk")] {
                if is(key) {
                    nodes.alarms.push(format!("{name}: {kind}"));
                }
            }
            for other in node.get("partitions").and_then(Value::as_array).into_iter().flatten() {
                nodes.partitions.push(format!("{name}: {}", other.as_str().unwrap_or("?")));
            }
            let part = |used: &str, limit: &str| {
                let (used, limit) = (number(used)?, number(limit).filter(|limit| *limit > 0.0)?);
                Some((used / limit * 1000.0).round() / 10.0)
            };
            let most = |old: Option<f64>, new: Option<f64>| old.into_iter().chain(new).reduce(f64::max);
            nodes.memory_pct = most(nodes.memory_pct, part("mem_used", "mem_limit"));
            nodes.files_pct = most(nodes.files_pct, part("fd_used", "fd_total"));
            let left = number("disk_free").zip(number("disk_free_limit")).map(|(free, limit)| free - limit);
            nodes.disk_left_bytes = nodes.disk_left_bytes.into_iter().chain(left).reduce(f64::min);
        }
        Some(nodes)
    }
}

/// A queue, from `/api/queues`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Queue {
    pub vhost: String,
    pub name: String,
    /// `running`, `idle`, `down`, `minority`, `crashed`…
    pub state: String,
    pub ready: f64,
    pub unacked: f64,
    pub consumers: f64,
}

/// Queues that can be read; without their statistics a queue has none yet.
pub fn queues(json: &Value) -> Option<Vec<Queue>> {
    // Pages come as an object.
    let items = json.get("items").unwrap_or(json).as_array()?;
    let read = |queue: &Value| {
        let text = |key: &str| queue.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
        let number = |key: &str| queue.get(key).and_then(Value::as_f64).unwrap_or(0.0);
        Queue {
            vhost: text("vhost"),
            name: text("name"),
            state: text("state"),
            ready: number("messages_ready"),
            unacked: number("messages_unacknowledged"),
            consumers: number("consumers"),
        }
    };
    Some(items.iter().filter(|queue| queue.get("name").is_some_and(Value::is_string)).map(read).collect())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    /// Hand-built from AMQP 0-9-1 §4.2 with entries as RabbitMQ 3.10 sends them.
    fn frame() -> Vec<u8> {
        let mut table: Vec<u8> = Vec::new();
        table.extend(b"\x0ccapabilitiesF\0\0\0\x16\x12publisher_confirmst\x01\0");
        table.extend(b"\x0ccluster_nameS\0\0\0\x08rabbit@a");
        table.extend(b"\x07productS\0\0\0\x08RabbitMQ\x07versionS\0\0\0\x063.10.8");
        let mut body = b"\0\x0a\0\x0a\0\x09".to_vec();
        body.extend(u32::try_from(table.len()).unwrap().to_be_bytes());
        body.extend(table);
        body.extend(b"\0\0\0\x0ePLAIN AMQPLAIN\0\0\0\x05en_US\xce");
        body
    }

    #[test]
    fn the_first_frame_names_the_server() {
        let start = start(&frame()).unwrap();
        assert_eq!((start.product.as_str(), start.version.as_str()), ("RabbitMQ", "3.10.8"));
        assert_eq!((start.cluster.as_str(), start.mechanisms.as_str()), ("rabbit@a", "PLAIN AMQPLAIN"));
        assert_eq!(head([1, 0, 0, 0, 0, 1, 0]), Ok(257));
        assert_eq!(head(*b"AMQP\0\x01\0"), Err(AmqpError::OtherVersion(1, 0, 0)));
        for bytes in [*b"HTTP/1.", [1, 0, 0, 0xff, 0, 0, 0], [8, 0, 0, 0, 0, 0, 0]] {
            assert_eq!(head(bytes), Err(AmqpError::Broken));
        }
    }

    #[test]
    fn alarms_partitions_and_stopped_nodes_are_named() {
        let nodes = Nodes::read(&json!([
            {"name": "rabbit@a", "running": true, "mem_alarm": true, "mem_used": 900, "mem_limit": 1000, "disk_free": 80,
             "disk_free_limit": 50, "partitions": ["rabbit@b"], "fd_used": 10, "fd_total": 0},
            {"name": "rabbit@b", "running": false, "mem_alarm": true},
            {"name": "rabbit@c", "running": true, "disk_free_alarm": true, "disk_free": 40, "disk_free_limit": 50},
        ]));
        let nodes = nodes.unwrap();
        assert_eq!((nodes.all, nodes.stopped), (3, vec!["rabbit@b".to_owned()]));
        assert_eq!(nodes.alarms, ["rabbit@a: memory", "rabbit@c: disk"]);
        assert_eq!(nodes.partitions, ["rabbit@a: rabbit@b"]);
        assert_eq!((nodes.memory_pct, nodes.files_pct, nodes.disk_left_bytes), (Some(90.0), None, Some(-10.0)));
        assert_eq!(Nodes::read(&json!({"error": "not_authorised"})), None);
    }

    #[test]
    fn queues_are_read_with_and_without_statistics() {
        let list = json!([{"name": "q", "vhost": "/", "state": "running", "messages_ready": 5, "messages_unacknowledged": 2,
            "consumers": 0}, {"name": "new", "vhost": "/"}, {"x": 1}]);
        let read = queues(&list).unwrap();
        assert_eq!(read.len(), 2);
        assert_eq!((read[0].ready, read[0].unacked, read[1].ready), (5.0, 2.0, 0.0));
        assert_eq!(queues(&json!({"items": list})).map(|queues| queues.len()), Some(2));
    }

    proptest! {
        #[test]
        fn no_bytes_panic(bytes in prop::collection::vec(any::<u8>(), 0..80), at in any::<prop::sample::Index>(), byte in any::<u8>()) {
            let _ = start(&bytes);
            let mut near = frame();
            let at = at.index(near.len());
            near[at] = byte;
            let _ = start(&near);
        }

        #[test]
        fn a_truncation_is_never_a_whole_frame(cut in any::<prop::sample::Index>()) {
            let whole = frame();
            let mut cut = whole[..cut.index(whole.len() - 1)].to_vec();
            cut.push(FRAME_END);
            if let Ok(start) = start(&cut) {
                prop_assert_eq!(start.version, "3.10.8", "only what stands behind the method may be missing");
            }
        }
    }
}
