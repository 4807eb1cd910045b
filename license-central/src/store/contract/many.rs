//! Many rows by few statements, and transactions that keep in memory what they write.

use super::*;

fn answer(number: i64, version: i64) -> Row {
    let until = if number % 7 == 0 { Value::Null } else { Value::Number(number * version) };
    row(&format!("m{number:03}"), version, &[until])
}

fn writes(version: i64) -> Vec<Write> {
    (0..150).map(|number| write(A, &ANSWER, answer(number, version))).collect()
}

fn all(store: &dyn Store) -> Vec<Row> {
    (0..150).filter_map(|number| get(store, A, &ANSWER, &answer(number, 1).id)).collect()
}

fn at(version: i64) -> Vec<Row> {
    (0..150).map(|number| answer(number, version)).collect()
}

/// All of them, or none.
pub(super) fn many_rows_are_written_as_one_by_one(store: &dyn Store) {
    put(store, &writes(1)).unwrap();
    assert_eq!(all(store), at(1));
    let mut stale = writes(2);
    stale[130].row.version = 3;
    assert_eq!(put(store, &stale), Err(StoreError::Conflict));
    let mut absent = writes(2);
    absent[3].row.id = "absent".into();
    assert_eq!(put(store, &absent), Err(StoreError::Conflict));
    let mut twice = writes(2);
    twice.push(write(A, &TICKET, ticket("m", "h1", "o")));
    assert_eq!(put(store, &twice), Err(StoreError::Taken { table: "ticket" }));
    assert_eq!(all(store), at(1));
    put(store, &writes(2)).unwrap();
    assert_eq!(all(store), at(2));
    assert_eq!(get(store, B, &ANSWER, "m001"), None);
}

/// What is gathered is seen before it is written, and nobody else sees it.
pub(super) fn what_is_gathered_is_seen_and_written_at_the_end(store: &dyn Store) {
    let gathered = |step: &mut dyn FnMut(&mut Gathered) -> Result<(), StoreError>| {
        retry(|| {
            let mut open = Gathered::new(store.begin(Purpose::Write)?);
            step(&mut open)?;
            Box::new(open).commit()
        })
    };
    let number = |value| Filter::Is("until_ms", Value::Number(value));
    let page = Page { after: None, limit: usize::MAX };
    let made = |id: &str, version, value| write(A, &ANSWER, row(id, version, &[value]));
    let ids = |rows: Vec<Row>| rows.into_iter().map(|row| row.id).collect::<Vec<_>>();
    gathered(&mut |open| {
        open.apply(&[made("g1", 1, 1077.into()), made("g2", 1, 1077.into())])?;
        assert_eq!(ids(open.find(A, &ANSWER, &number(1077), &page)?), ["g1", "g2"]);
        open.apply(&[made("g1", 2, 1078.into()), made("m001", 3, 1077.into())])?;
        assert_eq!(ids(open.find(A, &ANSWER, &number(1077), &page)?), ["g2", "m001"]);
        let behind = Page { after: Some("g1"), limit: 1 };
        assert_eq!(ids(open.find(A, &ANSWER, &number(1077), &behind)?), ["g2"]);
        assert_eq!(open.get(A, &ANSWER, "g1")?.map(|row| row.version), Some(2));
        assert_eq!(open.get(B, &ANSWER, "g1")?, None);
        open.apply(&[made("g1", 3, 1079.into())])
    })
    .unwrap();
    assert_eq!(get(store, A, &ANSWER, "g1"), Some(row("g1", 3, &[1079.into()])));
    assert_eq!(find(store, A, &ANSWER, number(1077)), ["g2", "m001"]);
    let stale = gathered(&mut |open| {
        open.get(A, &ANSWER, "g2")?;
        open.apply(&[made("g2", 3, 1080.into())])
    });
    assert_eq!(stale, Err(StoreError::Conflict));
    let taken = gathered(&mut |open| open.apply(&[made("g2", 1, 1080.into())]));
    assert_eq!(taken, Err(StoreError::Taken { table: "answer" }));
    // Deleted in between, and made anew.
    gathered(&mut |open| {
        open.apply(&[made("g2", 2, 1081.into())])?;
        open.remove(A, &ANSWER, &["g2".into()])?;
        assert_eq!(open.get(A, &ANSWER, "g2")?, None);
        open.apply(&[made("g2", 1, 1082.into())])
    })
    .unwrap();
    assert_eq!(find(store, A, &ANSWER, number(1082)), ["g2"]);
    // A unique value that a change gives up is free for a new row.
    put(store, &[write(A, &TICKET, ticket("g1", "hg1", "o"))]).unwrap();
    gathered(&mut |open| {
        open.apply(&[write(A, &TICKET, row("g1", 2, &["hg2".into(), "o".into()]))])?;
        open.apply(&[write(A, &TICKET, ticket("g0", "hg1", "o"))])
    })
    .unwrap();
    assert_eq!(find(store, A, &TICKET, Filter::Is("code_hash", "hg1".into())), ["g0"]);
    let left = gathered(&mut |open| {
        open.apply(&[made("g9", 1, 1.into())])?;
        Err(StoreError::Unavailable("cut".into()))
    });
    assert!(left.is_err());
    assert_eq!(get(store, A, &ANSWER, "g9"), None);
}
