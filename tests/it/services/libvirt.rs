//! The `libvirt` probe against virsh with libvirt's own simulated hypervisor, which needs no daemon.

use serde_json::json;
use stentor::probes::local_view::LocalView;

use super::*;

async fn look_inside(params: serde_json::Value) -> Observation {
    let env = ProbeEnv { net: Network::real(), view: Arc::new(LocalView::default()), clock: Clock::Machine };
    let params: Value = serde_json::from_value(params).unwrap();
    look(&*(find("libvirt").unwrap().build)(&params, &env).unwrap()).await
}

#[tokio::test]
async fn machines_are_read_from_virsh() {
    program("virsh", "libvirt-clients");
    let seen = look_inside(json!({"uri": "test:///default", "domains": ["test", "gone"]})).await;
    assert_eq!((fact(&seen, "libvirt"), fact(&seen, "running")), ("ok".into(), "1".into()), "{seen:#?}");
    assert_eq!((fact(&seen, "missing"), fact(&seen, "autostart_down")), ("[gone]".into(), "[]".into()));
    let folder = folder();
    let paused =
        "<node><domain type='test'><name>my vm</name><memory>1024</memory><os><type>hvm</type></os></domain></node>";
    let file = write(folder.path(), "node.xml", paused);
    let seen = look_inside(json!({"uri": format!("test://{}", file.display()), "ignore": "^x"})).await;
    assert_eq!((fact(&seen, "domains"), &*seen.long_text), ("1".into(), "my vm: running"), "{seen:#?}");
    let seen = look_inside(json!({"uri": "test:///no/such/file.xml"})).await;
    assert_eq!(fact(&seen, "libvirt"), "failed", "{seen:#?}");
}
