//! What lies on disk: whose it is, what is in it, and that no request reaches beyond it.

use std::collections::BTreeSet;
use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::process::{Place, Running};
use crate::raw::{self, Answer};

/// All files below, with what is in them.
fn files(dir: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            found.extend(files(&path));
        } else if path.is_file() {
            found.push((path.clone(), fs::read(&path).expect("a file")));
        }
    }
    found
}

pub(crate) fn ask(to: (&Running, &str), line: &str, key: &str, extra: &str, body: &str) -> Answer {
    let head = [
        &format!("{line} HTTP/1.1"),
        &format!("authorization: Bearer {key}"),
        "content-type: application/json",
        &format!("content-length: {}", body.len()),
        extra,
    ];
    let head: Vec<&str> = head.into_iter().filter(|line| !line.is_empty()).collect();
    raw::send(to.0.at(to.1), &head, body.as_bytes()).unwrap_or_else(|| panic!("{line} {body}"))
}

pub(crate) fn sell(server: &Running, key: &str) {
    let product = json!({ "code": 7, "name": "Editor" }).to_string();
    assert_eq!(ask((server, "admin"), "PUT /v1/products", key, "", &product).status, 200);
    let item = json!({ "sku": "ED-1", "name": "Editor", "parts": [{ "product": 7 }] }).to_string();
    assert_eq!(ask((server, "admin"), "PUT /v1/items", key, "", &item).status, 200);
}

#[test]
fn sec_w08_nothing_has_a_secret_that_another_installation_has() {
    let (one, two) = (Place::init(), Place::init());
    let mut seen = BTreeSet::new();
    for place in [&one, &two] {
        let owner = place.text("owner.key");
        let (id, secret) = owner.split_once('.').expect("a key");
        // 24 bytes, of which 20 would do.
        assert_eq!(secret.len(), 48);
        let own = [id.to_owned(), secret.to_owned(), place.text("secret.key")];
        assert!(own.into_iter().all(|text| seen.insert(text)));
        for name in ["owner.key", "secret.key"] {
            let mode = fs::metadata(place.data().join(name)).expect("a file").mode();
            assert_eq!(mode & 0o777, 0o600, "{name}");
        }
    }
    let server = one.run(&[]);
    let key = two.text("owner.key");
    for key in [&*key, "", "admin", "owner", "admin:admin", "key_0.0"] {
        assert_eq!(ask((&server, "admin"), "GET /v1/products", key, "", "").status, 401, "{key}");
    }
    let key = one.text("owner.key");
    assert_eq!(ask((&server, "admin"), "GET /v1/products", &key, "", "").status, 200);
}

#[test]
fn sec_w08_no_listener_leaves_this_machine() {
    let place = Place::init();
    for face in ["--sales", "--gateway", "--admin", "--metrics"] {
        for address in ["0.0.0.0:0", "[::]:0", "192.0.2.1:0", "[2001:db8::1]:0"] {
            let done = place.refused(&[face, address]);
            let said = done.text;
            assert_eq!(done.code, Some(2), "{face} {address}: {said}");
            assert!(said.contains("can be reached from other machines"), "{said}");
        }
    }
}

#[test]
fn sec_l02_a_server_does_not_start_on_what_others_could_change() {
    let place = Place::init();
    let data = place.data();
    place.run(&[]).end();
    let mode = |path: &Path, mode: u32| {
        fs::set_permissions(path, Permissions::from_mode(mode)).expect("its mode");
    };
    let refused = |path: &Path| {
        let done = place.refused(&[]);
        let said = done.text;
        assert_eq!(done.code, Some(2), "{}: {said}", path.display());
        assert!(said.contains(&*path.display().to_string()), "{}: {said}", path.display());
    };
    let all = [
        (data.clone(), vec![0o770, 0o707, 0o722]),
        (data.join("secret.key"), vec![0o660, 0o602, 0o640, 0o604]),
        (data.join("central.db"), vec![0o660, 0o602, 0o644]),
        (data.join("vendors"), vec![0o770, 0o702]),
        (data.join("vendors/acme"), vec![0o770, 0o702]),
        (place.above().to_owned(), vec![0o777, 0o770]),
    ];
    for (path, modes) in all {
        let path = path.canonicalize().expect("it is there");
        let before = fs::metadata(&path).expect("it is there");
        for wrong in modes {
            mode(&path, wrong);
            refused(&path);
        }
        mode(&path, before.mode());
        chown(&path, Some(65_534), None).expect("the test runs as root");
        refused(&path);
        chown(&path, Some(before.uid()), None).expect("the test runs as root");
    }
    // A link could lead elsewhere tomorrow.
    let secret = data.join("secret.key");
    fs::rename(&secret, data.join("elsewhere")).expect("renamed");
    std::os::unix::fs::symlink("elsewhere", &secret).expect("a link");
    refused(&secret);
    fs::rename(data.join("elsewhere"), &secret).expect("renamed");
    // A sticky folder above is as good as one's own.
    mode(place.above(), 0o1777);
    assert_eq!(place.run(&[]).end().code, Some(0));
}

/// Names that lead elsewhere where somebody takes them for paths.
const PATHS: [&str; 60] = [
    "..",
    "../",
    "../..",
    "../../etc/passwd",
    "../../../../../../etc/passwd",
    "/etc/passwd",
    "//etc/passwd",
    "./",
    ".",
    "~",
    "~root/.ssh/id_rsa",
    "..\\",
    "..\\..\\windows\\win.ini",
    "\\\\host\\share\\x",
    "\\\\?\\C:\\x",
    "\\\\.\\pipe\\x",
    "//host/share/x",
    "C:\\x",
    "C:/x",
    "C:x",
    "CON",
    "NUL",
    "AUX",
    "PRN",
    "COM1",
    "LPT1",
    "nul.txt",
    "CONIN$",
    "x:stream",
    "x::$DATA",
    "%2e%2e%2f",
    "%2e%2e/",
    "..%2f",
    "..%5c",
    "%252e%252e%252f",
    "..%c0%af",
    "..%ef%bc%8f",
    "%uff0e%uff0e/",
    "....//",
    "....\\\\",
    "..;/",
    ".%00./",
    "x%00.txt",
    "x%0a",
    "x%0d%0aSet-Cookie:x",
    "x/../../y",
    "x/./y",
    "x//y",
    "secret.key",
    "../secret.key",
    "vendors/acme/store.toml",
    "file:///etc/passwd",
    "http://127.0.0.1/",
    "/proc/self/environ",
    "/dev/stdin",
    "-rf",
    "--help",
    "$(id)",
    "`id`",
    "|id",
];

#[test]
fn sec_w12_no_name_that_a_request_gives_is_taken_for_a_path() {
    let place = Place::init();
    let key = place.text("owner.key");
    let canary = place.above().join("canary");
    fs::write(&canary, "untouched").expect("a file");
    let server = place.run(&[]);
    sell(&server, &key);
    let database = |path: &PathBuf| {
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        name.starts_with("central.db")
    };
    let state = || -> Vec<_> {
        let all = files(place.above()).into_iter();
        let mut all: Vec<_> = all.filter(|(path, _)| !database(path)).collect();
        all.sort();
        all
    };
    let before = state();
    let secrets = [place.text("secret.key"), "untouched".into(), "root:x:0:0".into()];
    let looked = |answer: Answer| {
        assert!(answer.status < 500, "{answer:?}");
        assert!(!secrets.iter().any(|secret| answer.body.contains(secret.as_str())), "{answer:?}");
    };
    for name in PATHS {
        let plain = name.bytes().all(|byte| byte.is_ascii_graphic());
        let coded: String = name.bytes().map(|byte| format!("%{byte:02x}")).collect();
        for name in [Some(name.to_owned()).filter(|_| plain), Some(coded)].into_iter().flatten() {
            looked(ask((&server, "sales"), &format!("GET /v1/orders/{name}"), &key, "", ""));
            looked(ask((&server, "admin"), &format!("GET /v1/tickets/{name}"), &key, "", ""));
            looked(ask((&server, "admin"), &format!("POST /v1/tickets/{name}/code"), &key, "", ""));
            looked(ask((&server, "gateway"), &format!("GET /v1/{name}"), &key, "", ""));
            looked(ask((&server, "admin"), &format!("GET /v1/orders?after={name}"), &key, "", ""));
            looked(ask((&server, "admin"), &format!("GET /{name}"), &key, "", ""));
        }
        let once = format!("idempotency-key: {name}");
        let order = json!({ "number": name, "sku": "ED-1", "period": name, "customer": name });
        looked(ask((&server, "sales"), "POST /v1/orders", &key, &once, &order.to_string()));
        let terms = json!({ "text": name });
        let order = json!({ "number": name, "sku": "ED-1", "period": name, "terms": terms });
        looked(ask((&server, "sales"), "POST /v1/orders", &key, &once, &order.to_string()));
        let customer = json!({ "name": name, "reference": name, "email": name }).to_string();
        looked(ask((&server, "admin"), "POST /v1/customers", &key, &once, &customer));
        let item = json!({ "sku": name, "name": name, "parts": [{ "product": 7 }] }).to_string();
        looked(ask((&server, "admin"), "PUT /v1/items", &key, "", &item));
        let show = json!({ "ticket": name, "context": name }).to_string();
        looked(ask((&server, "gateway"), "POST /v1/acme/activations", &key, "", &show));
    }
    assert!(state() == before, "a file was made, changed or taken away");
    assert_eq!(server.end().code, Some(0));
}

/// A ticket as it may be written.
fn spellings(ticket: &str) -> [String; 3] {
    let plain = ticket.replace('-', "");
    [ticket.to_owned(), plain.to_lowercase(), plain]
}

#[test]
fn sec_w19_neither_the_database_nor_the_log_holds_a_secret() {
    let place = Place::init();
    let key = place.text("owner.key");
    let server = place.run(&["--proxy-header", "X-Forwarded-For"]);
    sell(&server, &key);
    let mut secrets = vec![key.split_once('.').expect("a key").1.to_owned()];
    secrets.push(place.text("secret.key"));
    let order = json!({ "number": "1", "sku": "ED-1" }).to_string();
    let once = "idempotency-key: once-drawn-key";
    let made = ask((&server, "sales"), "POST /v1/orders", &key, once, &order).json();
    let again = ask((&server, "sales"), "POST /v1/orders", &key, once, &order).json();
    assert_eq!(made, again);
    let code = |value: &Value| value["code"].as_str().expect("a ticket").to_owned();
    let first = code(&made);
    let show = |code: &str| {
        let body = json!({ "ticket": code }).to_string();
        ask((&server, "gateway"), "POST /v1/acme/tickets/show", &key, "", &body).status
    };
    assert_eq!(show(&first), 200);
    let id = made["ticket"].as_str().expect("an id");
    let new = ask((&server, "admin"), &format!("POST /v1/tickets/{id}/code"), &key, "", "");
    let second = code(&new.json());
    assert_eq!((show(&second), show(&first)), (200, 404));
    // In the wrong places, where something could write it down.
    ask((&server, "admin"), &format!("GET /v1/tickets/{second}"), &key, "", "");
    ask((&server, "sales"), "POST /v1/orders", &key, "", &format!("{{\"number\":\"{second}\""));
    let wrong = format!("{key}0");
    assert_eq!(ask((&server, "admin"), "GET /v1/products", &wrong, "", "").status, 401);
    secrets.extend([first, second].iter().flat_map(|code| spellings(code)));
    secrets.push("once-drawn-key".into());
    let said = server.end();
    assert_eq!(said.code, Some(0));
    assert!(said.text.contains("\"answered\""), "the log has requests: {}", said.text);
    let mut held = vec![(PathBuf::from("log"), said.text.into_bytes())];
    let apart = ["secret.key", "owner.key"].map(|name| place.data().join(name));
    held.extend(files(&place.data()).into_iter().filter(|(path, _)| !apart.contains(path)));
    let rows = held.iter().filter(|(path, _)| path.starts_with(place.data()));
    assert!(rows.map(|(_, bytes)| bytes.len()).sum::<usize>() > 100_000, "the database is there");
    let mut found = Vec::new();
    for (path, bytes) in &held {
        for secret in &secrets {
            if bytes.windows(secret.len()).any(|window| window == secret.as_bytes()) {
                found.push(format!("{} holds {secret}", path.display()));
            }
        }
    }
    assert!(found.is_empty(), "{found:?}");
}

#[test]
fn a_server_whose_signer_does_not_start_says_why() {
    let place = Place::init();
    fs::write(place.data().join("signer.toml"), "nonsense = 1\n").expect("a file");
    let done = place.refused(&[]);
    assert_ne!(done.code, Some(0), "{}", done.text);
    assert!(done.text.contains("signer.toml"), "{}", done.text);
    assert!(!done.text.contains("the signer runs"), "{}", done.text);
}
