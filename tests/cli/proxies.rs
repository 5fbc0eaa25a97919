//! What a shell exports for everybody's sake, and the way to the API server.

use std::io::{BufRead as _, BufReader};
use std::net::TcpListener;
use std::process::{Command, Stdio};

use serde_json::json;

#[test]
fn a_proxy_of_the_shell_is_taken_to_the_cluster_unless_it_leaves_it_out() {
    let file = std::path::PathBuf::from(env!("CARGO_TARGET_TMPDIR"))
        .join(format!("proxied-{}.kubeconfig", std::process::id()));
    let cluster = json!({"server": "https://cluster.invalid:6443"});
    let kubeconfig = json!({
        "apiVersion": "v1", "kind": "Config", "current-context": "c",
        "clusters": [{"name": "c", "cluster": cluster}],
        "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}],
        "users": [{"name": "u", "user": {"token": "t"}}],
    });
    std::fs::write(&file, kubeconfig.to_string()).unwrap();
    for (left_out, asked) in [("", true), ("cluster.invalid", false)] {
        let proxy = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut child = Command::new(env!("CARGO_BIN_EXE_lockstep"))
            .args(["access", "of", "ada@example.com"])
            .env("KUBECONFIG", &file)
            .env("HTTPS_PROXY", format!("http://{}", proxy.local_addr().unwrap()))
            .env("NO_PROXY", left_out)
            .env_remove("https_proxy")
            .env_remove("no_proxy")
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let said = if asked {
            // It hears the first line and hangs up, each time.
            let (stream, _) = proxy.accept().unwrap();
            let mut line = String::new();
            BufReader::new(stream).read_line(&mut line).unwrap();
            assert!(line.starts_with("CONNECT cluster.invalid:6443 "), "{line}");
            drop(proxy);
            child.wait_with_output().unwrap()
        } else {
            child.wait().unwrap();
            proxy.set_nonblocking(true).unwrap();
            assert!(proxy.accept().is_err(), "the proxy was asked");
            child.wait_with_output().unwrap()
        };
        let said = String::from_utf8_lossy(&said.stderr).into_owned();
        assert!(said.contains("AccessBinding objects cannot be read"), "{said}");
    }
    let _ = std::fs::remove_file(&file);
}
