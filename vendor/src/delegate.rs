//! Handing a part of the right to issue on: a directory for whom it is for.

use std::path::Path;

use protocol::codec::{Fixed, Text};
use protocol::errors::ErrorCode;
use protocol::ids::{Generation, ProductCode};
use protocol::limits::DELEGATION_DEPTH_MAX;
use protocol::objects::delegation::{DelegationBody, Scope};
use protocol::objects::file::{self, FileKind};

use crate::clock;
use crate::directory::{
    CONTAINERS_DIR, DELEGATION_FILE, DELEGATIONS_DIR, KEYS_FILE, PRODUCTS_FILE, ROOT_FILE,
    ROOTS_DIR, TRUST_FILE, Vendor,
};
use crate::files;
use crate::keys::{KeyRing, entropy, new_key};
use crate::passphrase::Passphrase;
use crate::products::{self, Product};
use crate::trust::Trust;
use crate::{Result, Shown};

/// What is handed on.
pub struct Grant {
    /// To whom.
    pub name: String,
    /// What.
    pub scope: Scope,
    /// Last second; 0 = no end.
    pub until_s: u64,
    /// Item keys of generations up to this one go along.
    pub generation: u16,
}

impl Vendor {
    /// Refuses what this directory cannot hand on.
    pub fn check_grant(&self, grant: &Grant) -> Result<()> {
        let narrower = match &self.trust.delegate {
            Some(own) => grant.scope.is_within(&own.scope),
            None => grant.scope.depth < DELEGATION_DEPTH_MAX,
        };
        let range = grant.scope.products;
        if !narrower || range.first > range.last {
            return Err(Shown::usage(
                "more would be handed on than there is to hand on",
                "Give a smaller range, quantity or depth.",
            ));
        }
        Ok(())
    }

    /// Makes a directory from which somebody else issues: all that is public here, a key of its
    /// own, the item keys of its products.
    pub fn delegate(
        &self,
        grant: &Grant,
        keys: &KeyRing,
        dir: &Path,
        passphrase: &Passphrase,
    ) -> Result<Vendor> {
        self.check_grant(grant)?;
        let key = new_key()?;
        let name = Text::new(&grant.name).filter(|name| !name.is_empty());
        let name = name.ok_or_else(|| {
            Shown::usage(format!("{:?} cannot be a name", grant.name), "Use at most 64 bytes.")
        })?;
        let point = Fixed(key.verifying_key().to_bytes());
        let body = DelegationBody { name, key: point, scope: grant.scope };
        let times = (clock::now_s(), grant.until_s);
        let signer = self.issuer().key(keys)?;
        let object = body.write(self.root.root_fp, times, signer, &entropy()?);
        let object = object.ok_or_else(|| keys.refusal(ErrorCode::TooLong.failure()))?;
        let file = self.delegation_file(&object);
        let id = key.verifying_key().id();
        let ring = KeyRing::handed_on(key, self.item_keys(grant, keys)?);
        self.copy_public(dir, grant)?;
        ring.write(&dir.join(KEYS_FILE), passphrase)?;
        let folder = self.dir.join(DELEGATIONS_DIR);
        files::make_folder(&folder)?;
        files::write_new(&folder.join(format!("{id}.strgroom")), &file)?;
        files::write_new(&dir.join(DELEGATION_FILE), &file)?;
        Vendor::open(dir)
    }

    /// Delegations that were made here, by the ids of their keys.
    pub fn delegations(&self) -> Result<Vec<Trust>> {
        let folder = self.dir.join(DELEGATIONS_DIR);
        let mut paths = Vec::new();
        if folder.is_dir() {
            let failed = |error: std::io::Error| Shown::io(&folder, &error);
            for entry in std::fs::read_dir(&folder).map_err(failed)? {
                paths.push(entry.map_err(failed)?.path());
            }
        }
        paths.sort();
        let read = |path: &std::path::PathBuf| {
            let bytes = files::read(path)?;
            let taken = file::expect(&bytes, FileKind::Delegation).and_then(Trust::take);
            let (trust, _) = taken.map_err(|failure| Shown::from(failure).about(path.display()))?;
            Ok(trust)
        };
        paths.iter().map(read).collect()
    }

    fn delegation_file(&self, object: &[u8]) -> Vec<u8> {
        let chain = self.trust.delegations.iter().flat_map(|part| part.bytes.iter().copied());
        let chain: Vec<u8> = chain.collect();
        file::write(FileKind::Delegation, &[&self.root_objects(), &chain, object])
    }

    fn item_keys(
        &self,
        grant: &Grant,
        keys: &KeyRing,
    ) -> Result<Vec<(ProductCode, Generation, protocol::objects::artifact::SecretKey)>> {
        let mut items = Vec::new();
        for product in self.granted_products(grant)? {
            for generation in (0..=grant.generation).map(Generation) {
                let code = ProductCode(product.code);
                let key = keys.item_key(self.root.root_fp, code, generation)?;
                items.push((code, generation, key));
            }
        }
        // A file of keys is bounded.
        if items.len() > 256 {
            return Err(Shown::usage(
                format!("{} item keys are too many for one directory", items.len()),
                "Give a smaller range of products, or fewer generations.",
            ));
        }
        Ok(items)
    }

    fn granted_products(&self, grant: &Grant) -> Result<Vec<Product>> {
        let mut granted = self.products()?;
        granted.retain(|product| grant.scope.products.contains(ProductCode(product.code)));
        Ok(granted)
    }

    fn copy_public(&self, dir: &Path, grant: &Grant) -> Result<()> {
        let roots = dir.join(ROOTS_DIR);
        for folder in [&dir.join(CONTAINERS_DIR), &roots] {
            files::make_folder(folder)?;
        }
        for part in &self.trust.roots {
            let path = match part.header.seq {
                1 => dir.join(ROOT_FILE),
                version => roots.join(format!("{version}.strgroom")),
            };
            files::write_new(&path, &file::write(FileKind::Root, &[&part.bytes]))?;
        }
        if let Some(part) = &self.trust.revocation {
            let bytes = file::write(FileKind::Trust, &[&self.root_objects(), &part.bytes]);
            files::write_new(&dir.join(TRUST_FILE), &bytes)?;
        }
        let text = products::write(self.granted_products(grant)?)?;
        files::write_new(&dir.join(PRODUCTS_FILE), text.as_bytes())
    }
}
