//! What every store does: one suite for all of them.

use std::fs::Permissions;
use std::net::TcpListener;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

mod many;
mod seats;
use strongroom_tests::postgres::Postgres;

use super::tables::{self, ANSWER, CUSTOMER, TICKET};
use super::*;

const A: &str = "firm-a";
const B: &str = "firm-b";

fn row(id: &str, version: i64, columns: &[Value]) -> Row {
    Row { id: id.into(), version, columns: columns.to_vec(), body: format!("{{\"v\":{version}}}") }
}

fn write(tenant: &str, table: &'static Table, row: Row) -> Write {
    Write { tenant: tenant.into(), table, row }
}

fn put(store: &dyn Store, writes: &[Write]) -> Result<(), StoreError> {
    store.transact(Purpose::Write, &mut |open| open.apply(writes))
}

fn get(store: &dyn Store, tenant: &str, table: &'static Table, id: &str) -> Option<Row> {
    let mut found = None;
    let read = store.transact(Purpose::Read, &mut |open| {
        found = open.get(tenant, table, id)?;
        Ok(())
    });
    read.unwrap();
    found
}

fn find(store: &dyn Store, tenant: &str, table: &'static Table, filter: Filter) -> Vec<String> {
    let mut found = Vec::new();
    let read = store.transact(Purpose::Read, &mut |open| {
        found = open.find(tenant, table, &filter, &Page { after: None, limit: 100 })?;
        Ok(())
    });
    read.unwrap();
    found.into_iter().map(|row| row.id).collect()
}

fn ticket(id: &str, hash: &str, order: &str) -> Row {
    row(id, 1, &[hash.into(), order.into()])
}

fn rows_are_kept_and_found(store: &dyn Store) {
    let first = ticket("t1", "h1", "o1");
    put(store, &[write(A, &TICKET, first.clone()), write(A, &TICKET, ticket("t2", "h2", "o1"))])
        .unwrap();
    put(store, &[write(A, &TICKET, ticket("t0", "h0", "o2"))]).unwrap();
    assert_eq!(get(store, A, &TICKET, "t1"), Some(first));
    assert_eq!(get(store, A, &TICKET, "t9"), None);
    assert_eq!(find(store, A, &TICKET, Filter::All), ["t0", "t1", "t2"]);
    assert_eq!(find(store, A, &TICKET, Filter::Is("sales_order", "o1".into())), ["t1", "t2"]);
    assert_eq!(find(store, A, &TICKET, Filter::Is("code_hash", "h2".into())), ["t2"]);
    let mut part = Vec::new();
    let page = Page { after: Some("t0"), limit: 1 };
    let read = store.transact(Purpose::Read, &mut |open| {
        part = open.find(A, &TICKET, &Filter::All, &page)?;
        Ok(())
    });
    read.unwrap();
    assert_eq!(part.iter().map(|row| &row.id[..]).collect::<Vec<_>>(), ["t1"]);
}

fn numbers_are_compared_and_nothing_equals_nothing(store: &dyn Store) {
    for (id, until) in [("a1", Value::Number(5)), ("a2", Value::Number(10)), ("a3", Value::Null)] {
        put(store, &[write(A, &ANSWER, row(id, 1, &[until]))]).unwrap();
    }
    assert_eq!(find(store, A, &ANSWER, Filter::Below("until_ms", 10)), ["a1"]);
    assert_eq!(find(store, A, &ANSWER, Filter::Below("until_ms", i64::MAX)), ["a1", "a2"]);
    assert_eq!(find(store, A, &ANSWER, Filter::Is("until_ms", Value::Null)), [""; 0]);
    assert_eq!(find(store, A, &ANSWER, Filter::Is("until_ms", Value::Number(10))), ["a2"]);
}

fn a_tenant_sees_its_own_only(store: &dyn Store) {
    let of_b = ticket("t1", "h1", "o1");
    put(store, &[write(B, &TICKET, of_b)]).unwrap();
    assert_eq!(find(store, B, &TICKET, Filter::All), ["t1"]);
    assert_eq!(get(store, B, &TICKET, "t0"), None);
    let of_both = find(store, B, &TICKET, Filter::Is("sales_order", "o1".into()));
    assert_eq!(of_both, ["t1"]);
}

fn versions_rise_by_one(store: &dyn Store) {
    let next = |version| row("t1", version, &["h1".into(), "o3".into()]);
    put(store, &[write(A, &TICKET, next(2))]).unwrap();
    assert_eq!(get(store, A, &TICKET, "t1").unwrap().version, 2);
    assert_eq!(get(store, B, &TICKET, "t1").unwrap().version, 1, "another tenant's stays");
    for wrong in [2, 4] {
        let refused = put(store, &[write(A, &TICKET, next(wrong))]);
        assert_eq!(refused, Err(StoreError::Conflict), "{wrong}");
    }
    let absent = row("t9", 2, &["h9".into(), "o".into()]);
    assert_eq!(put(store, &[write(A, &TICKET, absent)]), Err(StoreError::Conflict));
}

fn what_is_unique_stays_so(store: &dyn Store) {
    let taken = Err(StoreError::Taken { table: "ticket" });
    assert_eq!(put(store, &[write(A, &TICKET, ticket("t5", "h1", "o"))]), taken);
    assert_eq!(put(store, &[write(A, &TICKET, ticket("t1", "h7", "o"))]), taken, "the id");
    for id in ["c1", "c2"] {
        let without = row(id, 1, &[Value::Null, "mail".into()]);
        put(store, &[write(A, &CUSTOMER, without)]).unwrap();
    }
}

fn a_step_that_fails_leaves_nothing(store: &dyn Store) {
    let first = write(A, &TICKET, ticket("t6", "h6", "o"));
    let failed = store.transact(Purpose::Write, &mut |open| {
        open.apply(std::slice::from_ref(&first))?;
        Err(StoreError::Unavailable("cut".into()))
    });
    assert!(failed.is_err());
    let half = [first, write(A, &TICKET, ticket("t7", "h1", "o"))];
    assert!(put(store, &half).is_err());
    assert_eq!(get(store, A, &TICKET, "t6"), None);
}

fn a_conflict_is_tried_again(store: &dyn Store) {
    let mut calls = 0;
    let done = store.transact(Purpose::Write, &mut |_| {
        calls += 1;
        if calls < 3 { Err(StoreError::Conflict) } else { Ok(()) }
    });
    assert_eq!((done, calls), (Ok(()), 3));
}

/// Eight threads add one to the same number, each ten times, reading it first.
fn writers_are_as_if_one_came_after_the_other(store: Arc<dyn Store>) {
    put(&*store, &[write(A, &ANSWER, row("n", 1, &[Value::Number(0)]))]).unwrap();
    let lost = AtomicU32::new(0);
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| (0..10).for_each(|_| add_one(&*store, &lost)));
        }
    });
    let end = get(&*store, A, &ANSWER, "n").unwrap();
    let lost = lost.into_inner();
    assert_eq!(end.columns, [Value::Number(80 - i64::from(lost))]);
    assert!(lost < 40, "{lost} of 80 gave up");
}

fn add_one(store: &dyn Store, lost: &AtomicU32) {
    let done = store.transact(Purpose::Write, &mut |open| {
        let mut now = open.get(A, &ANSWER, "n")?.ok_or(StoreError::Conflict)?;
        let Value::Number(number) = now.columns[0] else { return Err(StoreError::Conflict) };
        now.columns[0] = Value::Number(number + 1);
        now.version += 1;
        open.apply(&[write(A, &ANSWER, now)])
    });
    match done {
        Ok(()) => {}
        Err(StoreError::Conflict) => drop(lost.fetch_add(1, Ordering::Relaxed)),
        Err(other) => panic!("{other}"),
    }
}

fn rows_of_another_store_keep_their_versions(store: &dyn Store) {
    let loaded = write(B, &TICKET, row("t8", 5, &["h8".into(), "o".into()]));
    let load = |rows: &[Write]| store.transact(Purpose::Write, &mut |open| open.load(rows));
    assert_eq!(load(std::slice::from_ref(&loaded)), Ok(()));
    assert_eq!(get(store, B, &TICKET, "t8"), Some(loaded.row.clone()));
    assert_eq!(load(&[loaded]), Err(StoreError::Taken { table: "ticket" }));
    put(store, &[write(B, &TICKET, row("t8", 6, &["h8".into(), "o".into()]))]).unwrap();
}

fn what_is_deleted_is_gone(store: &dyn Store) {
    let ids = ["d1", "d2", "d3"];
    for tenant in [A, B] {
        for id in ids {
            put(store, &[write(tenant, &ANSWER, row(id, 1, &[Value::Number(1)]))]).unwrap();
        }
    }
    let remove = |ids: &[&str]| {
        let ids: Vec<String> = ids.iter().map(|id| (*id).to_owned()).collect();
        store.transact(Purpose::Write, &mut |open| open.remove(A, &ANSWER, &ids))
    };
    remove(&["d1", "d3", "d9"]).unwrap();
    let left = |tenant| ids.map(|id| get(store, tenant, &ANSWER, id).is_some());
    assert_eq!((left(A), left(B)), ([false, true, false], [true; 3]));
    put(store, &[write(A, &ANSWER, row("d1", 1, &[Value::Number(2)]))]).unwrap();
    remove(&["d1", "d2"]).unwrap();
    assert_eq!(left(A), [false; 3]);
}

fn contract(store: Arc<dyn Store>) {
    seats::seats_are_as_in_memory(&*store);
    rows_are_kept_and_found(&*store);
    numbers_are_compared_and_nothing_equals_nothing(&*store);
    a_tenant_sees_its_own_only(&*store);
    versions_rise_by_one(&*store);
    what_is_unique_stays_so(&*store);
    a_step_that_fails_leaves_nothing(&*store);
    a_conflict_is_tried_again(&*store);
    rows_of_another_store_keep_their_versions(&*store);
    what_is_deleted_is_gone(&*store);
    many::many_rows_are_written_as_one_by_one(&*store);
    many::what_is_gathered_is_seen_and_written_at_the_end(&*store);
    writers_are_as_if_one_came_after_the_other(store);
}

fn has_all_tables(store: &SqlStore) {
    for table in tables::ALL {
        let own = table.columns.iter().map(|column| column.name);
        let expected: Vec<&str> =
            ["tenant", "id", "version", "body"].into_iter().chain(own).collect();
        assert_eq!(store.columns_of(table), expected, "{}", table.name);
    }
}

#[test]
fn memory_keeps_the_contract() {
    contract(Arc::new(MemoryStore::default()));
}

#[test]
fn sqlite_keeps_the_contract() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("central.db");
    let store = SqlStore::sqlite(&path).unwrap();
    assert_eq!((store.migrate(), store.migrate()), (Ok(3), Ok(0)));
    has_all_tables(&store);
    contract(Arc::new(store));
    let again = SqlStore::sqlite(&path).unwrap();
    assert_eq!(get(&again, A, &TICKET, "t1").unwrap().version, 2, "it is durable");
}

#[test]
fn postgresql_keeps_the_contract() {
    let postgres = Postgres::start();
    let store = SqlStore::postgres(&postgres.url()).unwrap();
    assert_eq!((store.migrate(), store.migrate()), (Ok(3), Ok(0)));
    has_all_tables(&store);
    contract(Arc::new(store));
    let again = SqlStore::postgres(&postgres.url()).unwrap();
    assert_eq!(get(&again, A, &TICKET, "t1").unwrap().version, 2, "it is durable");
}

/// Runs it at this port of localhost too, encrypted by a certificate of its own: the file of it,
/// for whoever is to trust it.
fn encrypt(postgres: &Postgres, port: u16) -> PathBuf {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let user = std::fs::metadata(postgres.dir()).unwrap();
    let [cert, key] =
        [("server.pem", made.cert.pem()), ("server.key", made.signing_key.serialize_pem())].map(
            |(name, text)| {
                let path = postgres.dir().join(name);
                std::fs::write(&path, text).unwrap();
                std::fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
                chown(&path, Some(user.uid()), Some(user.gid())).unwrap();
                path
            },
        );
    postgres.run_with(&format!(
        "-p {port} -c listen_addresses=localhost -c ssl=on -c ssl_cert_file={} -c ssl_key_file={}",
        cert.display(),
        key.display()
    ));
    cert
}

#[test]
fn a_postgresql_elsewhere_proves_itself() {
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let postgres = Postgres::init();
    let cert = encrypt(&postgres, free);
    let url = |root: &Path| {
        let root = root.display();
        format!(
            "postgres://strongroom@localhost:{free}/postgres?sslmode=verify-full&sslrootcert={root}"
        )
    };
    assert_eq!(SqlStore::is_guarded(&url(&cert)), Ok(true));
    assert_eq!(SqlStore::postgres(&url(&cert)).unwrap().migrate(), Ok(3));
    let dir = tempfile::tempdir().unwrap();
    let other = dir.path().join("other.pem");
    let stranger = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    std::fs::write(&other, stranger.cert.pem()).unwrap();
    let refused = SqlStore::postgres(&url(&other)).map(|_| ());
    assert!(matches!(refused, Err(StoreError::Unavailable(_))), "{refused:?}");
}
