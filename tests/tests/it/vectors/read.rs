//! Vectors read back: from bytes in hex and what stands beside them, as another language would.

use engine::{
    AfterPowerUp, Circumstances, Presence, Question, STEPS, Stage, Taken, TimeView, evaluate,
};
use protocol::codec::{self, Fixed};
use protocol::command::Trapped;
use protocol::ids::ProductCode;
use protocol::limits::UPDATE_BODY_LEN_MAX;
use protocol::objects::license::{Client, Country, ProductItem, Requirement, Version};
use serde_json::Value;

use super::json::CLASSES;

/// Judges a vector of a file, and compares.
pub(super) fn check(vector: &Value) {
    let native: ProductItem = decoded(&vector["entry"]["bytes"]);
    let requirement: Requirement = decoded(&vector["requirement"]["bytes"]);
    let item = match &vector["parent"] {
        Value::Null => native,
        parent => native.effective(&decoded(&parent["bytes"])),
    };
    let stage = match text(&vector["stage"]) {
        "begins" => Stage::Begins,
        "goes_on" => Stage::GoesOn,
        other => panic!("stage {other}"),
    };
    let at = circumstances(&vector["circumstances"]);
    let question = Question { item: &item, requirement: &requirement, at, stage };
    let expected = &vector["expected"];
    let Err(failure) = evaluate(&question) else {
        assert_eq!(expected, "ok", "{}", vector["name"]);
        return;
    };
    let step = STEPS.iter().find(|(_, step)| step(&question).is_err()).expect("one refuses").0;
    let said = (text(&expected["step"]), text(&expected["code"]), wide(&expected["a"]));
    assert_eq!(said, (step, &*format!("S{:04X}", failure.code), failure.a));
    assert_eq!(wide(&expected["b"]), failure.b, "{}", vector["name"]);
}

fn circumstances(at: &Value) -> Circumstances {
    let (has, time, taken) = (&at["has"], &at["time"], &at["taken"]);
    let class = CLASSES.iter().find(|(_, name)| *name == text(&time["class"]));
    Circumstances {
        has: Presence {
            locked: number(&has["locked"]) as u8,
            firm: is(&has["firm"]),
            trapped: match &has["trapped"] {
                Value::Null => None,
                trapped => Some(Trapped {
                    product: ProductCode(number(&trapped["product"])),
                    at_s: wide(&trapped["at_s"]),
                }),
            },
            product: is(&has["product"]),
            parent: is(&has["parent"]),
            key: is(&has["key"]),
            log_room: is(&has["log_room"]),
        },
        time: TimeView {
            class: class.expect("a class of clocks").0,
            clock_s: wide(&time["clock_s"]),
            reach_s: wide(&time["reach_s"]),
            certified_s: wide(&time["certified_s"]),
            host_s: wide(&time["host_s"]),
            is_fresh: is(&time["is_fresh"]),
        },
        first_use_s: wide(&at["first_use_s"]),
        units: wide(&at["units"]),
        taken: Taken {
            seats: number(&taken["seats"]),
            shared_here: is(&taken["shared_here"]),
            exclusive_here: is(&taken["exclusive_here"]),
        },
        after_power_up: AfterPowerUp {
            quarantine_s: number(&at["after_power_up"]["quarantine_s"]),
            settling_s: number(&at["after_power_up"]["settling_s"]),
        },
        client: client(&at["client"]),
        user_key: match &at["user_key"] {
            Value::Null => None,
            key => Some(fixed(key)),
        },
    }
}

fn client(client: &Value) -> Client {
    let market = match text(&client["market"]) {
        "" => Country::default(),
        letters => Country::parse(letters).expect("a country"),
    };
    Client {
        runtime: Version(number(&client["runtime"])),
        market,
        user: fixed(&client["user"]),
        station: fixed(&client["station"]),
    }
}

/// A value from its canonical bytes; any other bytes are refused by the codec.
fn decoded<T: serde::Serialize + serde::de::DeserializeOwned>(hex: &Value) -> T {
    codec::decode(&bytes(hex), UPDATE_BODY_LEN_MAX).expect("canonical bytes")
}

fn fixed<const N: usize>(hex: &Value) -> Fixed<N> {
    Fixed(bytes(hex).try_into().expect("so many bytes"))
}

fn bytes(hex: &Value) -> Vec<u8> {
    let hex = text(hex);
    let pairs = (0..hex.len()).step_by(2).map(|at| &hex[at..at + 2]);
    pairs.map(|pair| u8::from_str_radix(pair, 16).expect("hex")).collect()
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_else(|| panic!("no text: {value}"))
}

fn wide(value: &Value) -> u64 {
    text(value).parse().expect("64 bits")
}

fn number(value: &Value) -> u32 {
    value.as_u64().and_then(|number| u32::try_from(number).ok()).expect("32 bits")
}

fn is(value: &Value) -> bool {
    value.as_bool().expect("true or false")
}
