//! Arguments of a use: its conditions, what only its license can answer, and whom that convinces.

use std::path::PathBuf;

use clap::Args as ClapArgs;
use protocol::ids::{Generation, ProductCode, RootFp, parse_hex};
use protocol::objects::license::Requirement;
use vendor::options::Access;
use vendor::{Result, Shown};

use super::KeyStoreArgs;

/// What a use asks for beside the product.
#[derive(Debug, Clone, ClapArgs)]
#[group(requires = "product")]
pub(crate) struct ConditionArgs {
    /// Features that must be set
    #[arg(long, value_name = "MAP")]
    pub(crate) features: Option<String>,
    /// How a use is counted
    #[arg(long, value_enum, default_value = "user-limit")]
    pub(crate) access: Access,
    /// Age of the container's certified time, at most, in seconds; 0 = any
    #[arg(long, default_value_t = 0, value_name = "SECONDS")]
    pub(crate) certified_age: u32,
    /// Units that each use takes
    #[arg(long, default_value_t = 0, value_name = "N")]
    pub(crate) units: u32,
    /// Release date of what is used
    #[arg(long, value_name = "TIME")]
    pub(crate) release: Option<String>,
    /// Generation of the item key
    #[arg(long, default_value_t = 0, value_name = "N")]
    pub(crate) generation: u16,
}

impl ConditionArgs {
    /// The use of a product as a whole.
    pub(crate) fn of(&self, root_fp: RootFp, product: ProductCode) -> Result<Requirement> {
        let features = self.features.as_deref().map(vendor::features).transpose()?;
        let release_s = self.release.as_deref().map(vendor::times::parse).transpose()?;
        Ok(Requirement {
            root_fp,
            product,
            features: features.unwrap_or(0),
            units: self.units,
            release_s: release_s.unwrap_or(0),
            access: self.access.into(),
            certified_age_s: self.certified_age,
            generation: Generation(self.generation),
        })
    }
}

/// A use, as a program would ask for it.
#[derive(Debug, Clone, ClapArgs)]
pub(crate) struct UseArgs {
    /// The vendor, where several are in the container
    #[arg(long, requires = "product", value_name = "FIRM")]
    pub(crate) firm: Option<String>,
    #[command(flatten)]
    pub(crate) conditions: ConditionArgs,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct EncryptArgs {
    /// Product
    pub(crate) product: u32,
    /// What to encrypt, at most 2048 bytes
    pub(crate) input: PathBuf,
    /// Where the key comes from: item-key, hidden:N, secret:N
    #[arg(long, default_value = "item-key", value_name = "SOURCE")]
    pub(crate) key: String,
    #[command(flatten)]
    pub(crate) uses: UseArgs,
    /// Where to write the block
    #[arg(short, long, value_name = "FILE")]
    pub(crate) output: PathBuf,
    /// Only say what would be done
    #[arg(long)]
    pub(crate) dry_run: bool,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct DecryptArgs {
    /// The block
    pub(crate) input: PathBuf,
    /// Where to write what is in it
    #[arg(short, long, value_name = "FILE")]
    pub(crate) output: PathBuf,
    /// Only say what would be done
    #[arg(long)]
    pub(crate) dry_run: bool,
}

/// What a proof must answer.
#[derive(Debug, ClapArgs)]
pub(crate) struct ChallengeArgs {
    /// 64 hexadecimal digits that whoever asks drew at random
    #[arg(long, value_name = "HEX")]
    pub(crate) challenge: String,
    /// What it is asked for: a number of the vendor's own
    #[arg(long, default_value_t = 0, value_name = "N")]
    pub(crate) purpose: u8,
}

impl ChallengeArgs {
    /// The challenge and the purpose.
    pub(crate) fn read(&self) -> Result<([u8; 32], u8)> {
        let challenge = parse_hex(&self.challenge).ok_or_else(|| {
            let title = format!("{:?} is no challenge", self.challenge);
            Shown::usage(title, "It is 64 hexadecimal digits, new for each proof.")
        })?;
        Ok((challenge, self.purpose))
    }
}

#[derive(Debug, ClapArgs)]
pub(crate) struct ProveArgs {
    /// Product
    pub(crate) product: u32,
    #[command(flatten)]
    pub(crate) challenge: ChallengeArgs,
    #[command(flatten)]
    pub(crate) uses: UseArgs,
    /// Where to write the proof
    #[arg(short, long, value_name = "FILE")]
    pub(crate) output: PathBuf,
    /// Only say what would be done
    #[arg(long)]
    pub(crate) dry_run: bool,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct VendorEncryptArgs {
    /// What to encrypt, at most 2048 bytes
    pub(crate) input: PathBuf,
    /// The vendor directory
    #[arg(long, value_name = "DIR")]
    pub(crate) vendor: PathBuf,
    /// Product that decrypts it
    #[arg(long, value_name = "CODE")]
    pub(crate) product: u32,
    #[command(flatten)]
    pub(crate) conditions: ConditionArgs,
    /// Where the key comes from: item-key, hidden:N, secret:N
    #[arg(long, default_value = "item-key", value_name = "SOURCE")]
    pub(crate) key: String,
    /// File of data fields as they were issued, where the key comes from one
    #[arg(long, value_name = "FILE")]
    pub(crate) data: Option<PathBuf>,
    /// Where to write the block
    #[arg(short, long, value_name = "FILE")]
    pub(crate) output: PathBuf,
    /// Only say what would be done
    #[arg(long)]
    pub(crate) dry_run: bool,
    #[command(flatten)]
    pub(crate) keys: KeyStoreArgs,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct VendorDecryptArgs {
    /// The block
    pub(crate) input: PathBuf,
    /// The vendor directory
    #[arg(long, value_name = "DIR")]
    pub(crate) vendor: PathBuf,
    /// File of data fields as they were issued, where the key comes from one
    #[arg(long, value_name = "FILE")]
    pub(crate) data: Option<PathBuf>,
    /// Where to write what is in it
    #[arg(short, long, value_name = "FILE")]
    pub(crate) output: PathBuf,
    /// Only say what would be done
    #[arg(long)]
    pub(crate) dry_run: bool,
    #[command(flatten)]
    pub(crate) keys: KeyStoreArgs,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct ProofArgs {
    /// The proof
    pub(crate) file: PathBuf,
    /// The vendor directory
    #[arg(long, value_name = "DIR")]
    pub(crate) vendor: PathBuf,
    #[command(flatten)]
    pub(crate) challenge: ChallengeArgs,
    /// Product that must be in use
    #[arg(long, value_name = "CODE")]
    pub(crate) product: u32,
    #[command(flatten)]
    pub(crate) conditions: ConditionArgs,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct UnlockArgs {
    /// The vendor directory
    #[arg(long, value_name = "DIR")]
    pub(crate) vendor: PathBuf,
    /// The container's context file
    #[arg(long, value_name = "FILE")]
    pub(crate) context: PathBuf,
    /// Where to write the update
    #[arg(short, long, value_name = "FILE")]
    pub(crate) output: PathBuf,
    /// Only say what would be done
    #[arg(long)]
    pub(crate) dry_run: bool,
    #[command(flatten)]
    pub(crate) keys: KeyStoreArgs,
}
