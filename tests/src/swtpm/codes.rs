//! Command codes of a TPM by name (TCG TPM 2.0 Library, Part 2, 6.5 "TPM_CC").

use std::fmt;

/// The code of a TPM command.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CommandCode(pub u32);

macro_rules! codes {
    ($($name:ident = $code:literal $called:literal,)*) => {
        impl CommandCode {
            $(#[doc = concat!("`TPM2_", $called, "`.")] pub const $name: Self = Self($code);)*

            /// What the specification calls it, where a test asked for its name before.
            pub fn name(self) -> Option<&'static str> {
                match self {
                    $(Self::$name => Some($called),)*
                    _ => None,
                }
            }
        }
    };
}

codes! {
    EVICT_CONTROL = 0x120 "EvictControl",
    HIERARCHY_CONTROL = 0x121 "HierarchyControl",
    NV_UNDEFINE_SPACE = 0x122 "NV_UndefineSpace",
    CLEAR = 0x126 "Clear",
    HIERARCHY_CHANGE_AUTH = 0x129 "HierarchyChangeAuth",
    NV_DEFINE_SPACE = 0x12a "NV_DefineSpace",
    CREATE_PRIMARY = 0x131 "CreatePrimary",
    NV_INCREMENT = 0x134 "NV_Increment",
    NV_EXTEND = 0x136 "NV_Extend",
    NV_WRITE = 0x137 "NV_Write",
    DICTIONARY_ATTACK_LOCK_RESET = 0x139 "DictionaryAttackLockReset",
    DICTIONARY_ATTACK_PARAMETERS = 0x13a "DictionaryAttackParameters",
    NV_CHANGE_AUTH = 0x13b "NV_ChangeAuth",
    SELF_TEST = 0x143 "SelfTest",
    STARTUP = 0x144 "Startup",
    SHUTDOWN = 0x145 "Shutdown",
    ACTIVATE_CREDENTIAL = 0x147 "ActivateCredential",
    CERTIFY = 0x148 "Certify",
    POLICY_NV = 0x149 "PolicyNV",
    CERTIFY_CREATION = 0x14a "CertifyCreation",
    NV_READ = 0x14e "NV_Read",
    OBJECT_CHANGE_AUTH = 0x150 "ObjectChangeAuth",
    POLICY_SECRET = 0x151 "PolicySecret",
    CREATE = 0x153 "Create",
    IMPORT = 0x156 "Import",
    LOAD = 0x157 "Load",
    QUOTE = 0x158 "Quote",
    SIGN = 0x15d "Sign",
    UNSEAL = 0x15e "Unseal",
    POLICY_SIGNED = 0x160 "PolicySigned",
    CONTEXT_LOAD = 0x161 "ContextLoad",
    CONTEXT_SAVE = 0x162 "ContextSave",
    FLUSH_CONTEXT = 0x165 "FlushContext",
    LOAD_EXTERNAL = 0x167 "LoadExternal",
    MAKE_CREDENTIAL = 0x168 "MakeCredential",
    NV_READ_PUBLIC = 0x169 "NV_ReadPublic",
    POLICY_AUTHORIZE = 0x16a "PolicyAuthorize",
    POLICY_COMMAND_CODE = 0x16c "PolicyCommandCode",
    POLICY_OR = 0x171 "PolicyOR",
    READ_PUBLIC = 0x173 "ReadPublic",
    START_AUTH_SESSION = 0x176 "StartAuthSession",
    VERIFY_SIGNATURE = 0x177 "VerifySignature",
    GET_CAPABILITY = 0x17a "GetCapability",
    GET_RANDOM = 0x17b "GetRandom",
    PCR_READ = 0x17e "PCR_Read",
    POLICY_PCR = 0x17f "PolicyPCR",
    POLICY_RESTART = 0x180 "PolicyRestart",
    READ_CLOCK = 0x181 "ReadClock",
    PCR_EXTEND = 0x182 "PCR_Extend",
    NV_CERTIFY = 0x184 "NV_Certify",
    POLICY_GET_DIGEST = 0x189 "PolicyGetDigest",
}

impl fmt::Debug for CommandCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => f.write_str(name),
            None => write!(f, "{:#x}", self.0),
        }
    }
}
