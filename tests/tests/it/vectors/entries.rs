//! Vectors: what the container has, and what the entry says itself.

use protocol::errors::ErrorCode::*;
use protocol::ids::{EntryNumber, ProductCode};
use protocol::objects::license::{Country, ItemOption as O, ItemRef, Status, Version};

use super::case::{PARENT, Row, Vector, list, text};

const V1_2_3: u64 = 0x1_02_03;

#[rustfmt::skip]
const ROWS: &[Row] = &[
    ("container", "open", "nothing is in the way of an entry that asks nothing", None, |_| {}),
    ("container", "locked", "the reason is told", Some(ContainerLocked.with(1, 0)),
        |c| c.at.has.locked = 1),
    ("container", "locked for another reason", "any reason but 0 locks",
        Some(ContainerLocked.with(255, 0)), |c| c.at.has.locked = 255),
    ("firm", "absent", "the firm never came into the container",
        Some(FirmUnknown.with(0, 0)), |c| c.at.has.firm = false),
    ("firm", "locked by a trap", "whose trap it was is told, and when",
        Some(FirmLocked.with(9, 1_000)), |c| {
            let product = ProductCode(9);
            c.at.has.trapped = Some(protocol::command::Trapped { product, at_s: 1_000 });
        }),
    ("firm", "present", "a firm may be any", None,
        |c| c.need.root_fp = protocol::ids::RootFp::new([0xff; 16])),
    ("product", "absent", "the product is told", Some(ProductUnknown.with(7, 0)),
        |c| c.at.has.product = false),
    ("product", "absent, the greatest code", "the product is told",
        Some(ProductUnknown.with(0xffff_ffff, 0)), |c| {
            c.need.product = ProductCode(u32::MAX);
            c.at.has.product = false;
        }),
    ("product", "present", "an entry with a text alone is usable", None,
        |c| c.set(O::Text(text("Editor")))),
    ("features", "none wanted, none there", "no feature is needed", None, |_| {}),
    ("features", "none wanted, some there", "more than is needed does no harm", None,
        |c| c.set(O::FeatureMap(u64::MAX))),
    ("features", "one wanted, no map", "an entry without a map has none",
        Some(FeaturesMissing.with(1, 0)), |c| c.need.features = 1),
    ("features", "all wanted are there", "exactly those", None, |c| {
        c.need.features = 5;
        c.set(O::FeatureMap(5));
    }),
    ("features", "one of two is there", "all are needed, not any",
        Some(FeaturesMissing.with(5, 4)), |c| {
            c.need.features = 5;
            c.set(O::FeatureMap(4));
        }),
    ("features", "others are there", "another bit is no substitute",
        Some(FeaturesMissing.with(1, 2)), |c| {
            c.need.features = 1;
            c.set(O::FeatureMap(2));
        }),
    ("features", "bit 63 wanted and there", "all 64 bits count", None, |c| {
        c.need.features = 1 << 63;
        c.set(O::FeatureMap(1 << 63));
    }),
    ("features", "bit 63 wanted and missing", "all 64 bits count",
        Some(FeaturesMissing.with(1 << 63, (1 << 63) - 1)), |c| {
            c.need.features = 1 << 63;
            c.set(O::FeatureMap((1 << 63) - 1));
        }),
    ("features", "all 64 wanted, all there", "the greatest map", None, |c| {
        c.need.features = u64::MAX;
        c.set(O::FeatureMap(u64::MAX));
    }),
    ("features", "all 64 wanted, bit 0 missing", "one missing is enough to refuse",
        Some(FeaturesMissing.with(u64::MAX, u64::MAX - 1)), |c| {
            c.need.features = u64::MAX;
            c.set(O::FeatureMap(u64::MAX - 1));
        }),
    ("module", "the parent is there", "a module is usable beside its parent", None,
        |c| c.module_of(vec![])),
    ("module", "the parent is gone", "product and entry of the parent are told",
        Some(ParentMissing.with(1, 2)), |c| {
            c.set(O::ModuleOf(PARENT));
            c.at.has.parent = false;
        }),
    ("module", "the parent is gone, greatest numbers", "product and entry are told",
        Some(ParentMissing.with(0xffff_ffff, 0xffff)), |c| {
            let parent = ItemRef { product: ProductCode(u32::MAX), entry: EntryNumber(u16::MAX) };
            c.set(O::ModuleOf(parent));
            c.at.has.parent = false;
        }),
    ("module", "no module, no parent", "an entry that is no module needs no parent", None,
        |c| c.at.has.parent = false),
    ("status", "not said", "an entry that says nothing is enabled", None, |_| {}),
    ("status", "enabled", "said explicitly", None, |c| c.set(O::Status(Status::Enabled))),
    ("status", "suspended", "refused until the vendor lifts it", Some(Suspended.with(0, 0)),
        |c| c.set(O::Status(Status::Suspended))),
    ("runtime", "the minimum itself", "the same version is enough", None,
        |c| c.set(O::MinimumRuntime(Version(V1_2_3 as u32)))),
    ("runtime", "one patch below", "wanted and present version are told",
        Some(RuntimeOld.with(V1_2_3 + 1, V1_2_3)),
        |c| c.set(O::MinimumRuntime(Version(V1_2_3 as u32 + 1)))),
    ("runtime", "one patch above", "a newer one is enough", None,
        |c| c.set(O::MinimumRuntime(Version(V1_2_3 as u32 - 1)))),
    ("runtime", "a minor version goes before a patch", "1.2.255 is older than 1.3.0",
        Some(RuntimeOld.with(0x1_03_00, 0x1_02_ff)), |c| {
            c.at.client.runtime = Version(0x1_02_ff);
            c.set(O::MinimumRuntime(Version(0x1_03_00)));
        }),
    ("runtime", "a major version goes before a minor", "1.255.255 is older than 2.0.0",
        Some(RuntimeOld.with(0x2_00_00, 0x1_ff_ff)), |c| {
            c.at.client.runtime = Version(0x1_ff_ff);
            c.set(O::MinimumRuntime(Version(0x2_00_00)));
        }),
    ("runtime", "not said by the host", "nothing said is version 0",
        Some(RuntimeOld.with(1, 0)), |c| {
            c.at.client.runtime = Version(0);
            c.set(O::MinimumRuntime(Version(1)));
        }),
    ("runtime", "nothing said, nothing asked", "version 0 is enough where none is asked", None,
        |c| c.at.client.runtime = Version(0)),
    ("runtime", "the greatest", "65535.255.255 is enough for itself", None, |c| {
        c.at.client.runtime = Version(u32::MAX);
        c.set(O::MinimumRuntime(Version(u32::MAX)));
    }),
    ("region", "any", "without a list every market is fine", None,
        |c| c.at.client.market = Country::default()),
    ("region", "the only one", "the host claims to be there", None,
        |c| c.set(O::Region(list(vec![Country(*b"AT")])))),
    ("region", "the last of several", "any in the list", None,
        |c| c.set(O::Region(list(vec![Country(*b"AA"), Country(*b"AB"), Country(*b"AT")])))),
    ("region", "the first of several", "any in the list", None,
        |c| c.set(O::Region(list(vec![Country(*b"AT"), Country(*b"DE")])))),
    ("region", "another", "what is claimed and the first of the list are told",
        Some(RegionRefused.with(0x4154, 0x4445)),
        |c| c.set(O::Region(list(vec![Country(*b"DE"), Country(*b"FR")])))),
    ("region", "nothing claimed", "no claim is in no list", Some(RegionRefused.with(0, 0x4154)),
        |c| {
            c.at.client.market = Country::default();
            c.set(O::Region(list(vec![Country(*b"AT")])));
        }),
];

pub(crate) fn vectors() -> Vec<Vector> {
    ROWS.iter().copied().map(Vector::of).collect()
}
