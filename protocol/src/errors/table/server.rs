//! Rows of License Central: block 0x0B.

macro_rules! server_rows {
    ($with:ident) => {
        $with! {
    // server
    TicketUnknown = 0x0B01, Caller, NotFound,
        "there is no such ticket",
        "it was mistyped, belongs to another vendor, or was replaced by another",
        "Compare it with the message that it came in, or ask the vendor.";
    TicketMistyped = 0x0B02, Caller, Usage,
        "this ticket is mistyped",
        "a character is missing, wrong or in the wrong place",
        "Compare it with the message that it came in.";
    TicketUsedUp = 0x0B03, License, Conflict,
        "nothing of this ticket is left: {a} of {b} activations are in containers",
        "it was redeemed before, here or on another machine",
        "Release one of them, or ask the vendor for more.";
    TicketClosed = 0x0B04, License, Denied,
        "this ticket was withdrawn",
        "the order was canceled or replaced",
        "Ask the vendor.";
    RecordMissing = 0x0B05, Caller, NotFound,
        "there is no such record",
        "its id was mistyped, or it belongs to another vendor",
        "List what there is, and take the id from there.";
    RecordChanged = 0x0B06, Caller, Conflict,
        "it was changed meanwhile: this is version {a}, the request was made for version {b}",
        "somebody else, or another program, works on the same record",
        "Read it again, look at what changed, and repeat the request with the new version.";
    RecordTaken = 0x0B07, Caller, Conflict,
        "there is one with this name or number already",
        "it was made before, perhaps by a request whose answer was lost",
        "Look at the one that is there, or choose another name or number.";
    RequestMalformed = 0x0B08, Caller, Usage,
        "the request cannot be understood",
        "a field is missing, unknown, given twice or of the wrong type",
        "Correct what the message names. Nothing was changed.";
    NotLoggedIn = 0x0B09, Caller, Permission,
        "this needs a key of the API",
        "none was sent, or it is wrong, or it was revoked",
        "Send one: Authorization: Bearer KEY. At the terminal: strongroom central login.";
    RoleMissing = 0x0B0A, Caller, Permission,
        "this key may not do that",
        "its role does not include it",
        "Use a key of another role, or ask an owner.";
    KeyReused = 0x0B0B, Caller, Conflict,
        "another request had this Idempotency-Key",
        "the program draws its keys badly, or repeats a request with another body",
        "Draw a new key for a new request.";
    StoreUnavailable = 0x0B0C, Machine, Network,
        "the database cannot be used at the moment",
        "it is being restarted, is full, or is too slow",
        "Repeat the request later, with the same Idempotency-Key. The server's log says more.";
    SignerUnavailable = 0x0B0D, Machine, Network,
        "what was decided cannot be signed at the moment",
        "the signer does not run, or its key store is locked",
        "Repeat the request later: it is signed then. The server's log says more.";
    SignerRefused = 0x0B0E, Vendor, Denied,
        "the signer does not sign this",
        "a cap of the vendor is reached, or the request does not fit what was signed before",
        "The server's log says more. Nothing was issued.";
    ContainerBlocked = 0x0B0F, License, Denied,
        "this container gets no licenses",
        "it was reported lost, was revoked, or was decommissioned",
        "Use another container, or ask the vendor.";
    ContainerDiffers = 0x0B10, License, Conflict,
        "this container is at number {a}, and Central knows nothing that leads there (last: {b})",
        "the context is an old one, the container was put back to an older state, or another copy \
         of the vendor's records issued to it",
        "Ask the vendor, who decides what it gets.";
    BodyTooLarge = 0x0B12, Caller, Usage,
        "the request is too large: at most {b} bytes are taken",
        "another file was sent than was meant",
        "Send less, or send it in parts.";
    ServerFailed = 0x0B13, Machine, Network,
        "License Central failed at this",
        "it is a mistake in the program",
        "Repeat the request; if it fails again, report what the server's log says.";
    ServerUnreachable = 0x0B14, Machine, Network,
        "License Central cannot be reached",
        "its address is wrong, it does not run, or there is no network",
        "Check the address, and repeat the command when there is a network.";
    ReceiptUnknown = 0x0B16, Message, Conflict,
        "this receipt is for number {a}, and Central issued nothing that leads to what it proves",
        "it was made for an update of another copy of the vendor's records",
        "Send a new context of the container instead: strongroom container context.";
    UnitsStay = 0x0B18, License, Conflict,
        "product {a} has units, which cannot be taken out of the container by this",
        "how many are left is known to the container alone",
        "Release the other products by name, or use the units up.";
    GrantWithdrawn = 0x0B19, Caller, Conflict,
        "this license was withdrawn, for good",
        "somebody withdrew it, or its ticket, or an order replaced it",
        "Sell a new one: what was withdrawn may still be on its way out of a container.";
    ContainerUndecided = 0x0B1A, License, Conflict,
        "this container showed number {a}, which nothing leads to (last: {b}), and nobody has \
         decided yet",
        "it was put back to an older state, or another copy of the vendor's records issued to it",
        "Ask the vendor, who decides: strongroom central case list.";
    ContextOld = 0x0B1B, Message, Conflict,
        "this context is an old one: number {a}, and the container has shown {b} since",
        "the file was sent again, or late",
        "Send a new one: strongroom container context.";
    LicenseSuspendedHere = 0x0B1C, License, Denied,
        "product {a} of this ticket is suspended",
        "the vendor suspended it",
        "Ask the vendor, who can reinstate it.";
    LicenseAssigned = 0x0B1D, License, Conflict,
        "what is left of this ticket waits for another container",
        "it was moved there, or the vendor assigned it",
        "Collect it there: strongroom collect. Or ask the vendor.";
    RestoreRefused = 0x0B1E, License, Denied,
        "product {a} does not come back by itself when its container is lost",
        "the vendor decides each case",
        "Ask the vendor, with the inventory of the lost container.";
    RestoreTooOften = 0x0B1F, License, Denied,
        "licenses of this ticket came back {a} times within the period, and {b} are allowed",
        "several of its containers were lost, or reported as lost",
        "Wait, or ask the vendor.";
    CapOfUpdate = 0x0B30, Vendor, Denied,
        "one update would have {a}, and the signer signs at most {b}",
        "it is more than this vendor means to sell at once, or somebody else asks",
        "If it is meant, raise it in signer.toml and send the signer SIGHUP. Nothing was issued.";
    CapOfDay = 0x0B31, Vendor, Denied,
        "today would come to {a}, and the signer signs at most {b} in a day (UTC)",
        "more is sold than was expected, or somebody else asks",
        "If it is meant, raise it in signer.toml and send the signer SIGHUP. It is signed then.";
    CapOfProduct = 0x0B32, Vendor, Denied,
        "the signer signs nothing for product {a}",
        "it is none of those that signer.toml names",
        "If it is meant, add it in signer.toml and send the signer SIGHUP. Nothing was issued.";
    LeafRefused = 0x0B33, Caller, Tamper,
        "what the signer was asked to sign is no update of this vendor",
        "the server is of another version, or somebody else speaks to the signer",
        "Run: license-central check. Nothing was signed.";
    LeafDiffers = 0x0B34, Vendor, Conflict,
        "another update of number {a} was signed for this container before (last: {b})",
        "the database was put back to an older state, or another one issues for the same vendor",
        "Run: license-central check. Nothing was signed.";
    JournalUnshown = 0x0B35, Machine, Network,
        "the signer has not been shown that the database knows what it signed",
        "it has just been started",
        "Repeat the request.";
    JournalAhead = 0x0B36, Vendor, Network,
        "nothing is issued: the database lacks what was signed as number {a} (of {b})",
        "it was put back to an older state",
        "The vendor stops the server and runs: license-central check --repair.";
    JournalBehind = 0x0B37, Vendor, Network,
        "nothing is issued: the journal is at number {a}, and the database knows number {b} of it",
        "the journal was put back to an older state, is another one, or is not where it is looked \
         for",
        "The vendor puts the newest journal back. If it is lost: license-central check \
         --accept-journal.";
    JournalDamaged = 0x0B38, Machine, Tamper,
        "the journal cannot be read from byte {a} on",
        "its medium is damaged, or it was changed",
        "Put a copy of it back. Nothing is issued before.";
    BackupDamaged = 0x0B39, Caller, Tamper,
        "this backup is not whole: its record {a} cannot be used",
        "it was cut short or changed, or was made by a newer version",
        "Take another backup. Nothing was restored.";
    StoreFilled = 0x0B3A, Caller, Conflict,
        "this database has records already",
        "a backup is restored into an empty database only",
        "Name an empty one, or move the file central.db away.";
    TooManyRequests = 0x0B50, Caller, Network,
        "too many requests: go on in {a} s",
        "a program repeats its requests too fast, or tickets or keys are being guessed",
        "Wait for so long, and repeat the request with the same Idempotency-Key.";
    RequestTooSlow = 0x0B51, Machine, Network,
        "the request took longer than {a} s",
        "the server or its database is busy, or the request came too slowly",
        "Repeat it later, with the same Idempotency-Key.";
    MediaTypeWrong = 0x0B52, Caller, Usage,
        "the body of a request is JSON",
        "it is not said to be, or is something else",
        "Send JSON, with Content-Type: application/json.";
    HeadersTooLarge = 0x0B53, Caller, Usage,
        "the headers of the request are too large: at most {b} bytes are taken",
        "a program or proxy adds cookies or other headers",
        "Send less.";
    WebhookAddress = 0x0B54, Caller, Usage,
        "messages are not sent to this address",
        "it is not https, names a user, or belongs to a network inside",
        "Name a public address, https://…. To try webhooks out: license-central serve \
         --webhooks-to-this-machine.";
    LicenseNotServed = 0x0B40, License, Conflict,
        "this license does not give seats over the network",
        "it is in a container, or was withdrawn, or nobody serves it",
        "The vendor sees where it is (strongroom central grant list), and serves it when it is \
         released (strongroom central seat serve).";
    OptionNotServed = 0x0B41, License, Denied,
        "this license has an option that only a container can judge",
        "a license that is served has a quantity, and at most a start, an end, a linger time",
        "Redeem it into a container, or sell another item.";
    SeatsTaken = 0x0B42, License, Denied,
        "all seats are taken: {a} of {b}",
        "others use the license, or a program ended without giving its seat back",
        "Try again when one is given back or lapses, or ask the vendor for more.";
    SeatOver = 0x0B43, License, Denied,
        "this seat is not held any more",
        "it was given back, or no heartbeat came in time",
        "Take a seat under a new session.";
    SeatOutOfTurn = 0x0B44, Caller, Conflict,
        "request {a} of this seat comes after {b}",
        "requests of a seat are numbered, and each has a higher number than the one before",
        "Go on with the next number above the last one that was answered.";
    SessionRefused = 0x0B45, Caller, Usage,
        "this session is not of today: it was drawn at {a}, Unix seconds, and here it is {b}",
        "a session is a UUID of version 7, which has the time; the clock may be wrong",
        "Set the clock, draw a new session, and repeat the request.";
    ServingEnds = 0x0B46, License, Denied,
        "this license gives no seats at the moment",
        "it has ended, or the vendor takes it back",
        "Ask the vendor.";
    CredentialRefused = 0x0B47, Caller, Permission,
        "this needs the credential of seats",
        "none was sent, or it is wrong, or it was revoked",
        "Send it: Authorization: Bearer crd_…. A new one comes from the ticket or from the vendor.";
    LeaseRefused = 0x0B48, Message, Tamper,
        "the lease was not signed by the vendor",
        "it was changed on its way, somebody else made it, or its key was revoked or replaced",
        "Ask the server for the seat again: send the last request once more.";
    LeaseSuite = 0x0B49, Message, Tamper,
        "the lease was signed under suite {a}; the vendor's newest root here wants suite {b}",
        "the vendor changed the suite, or somebody took a half of the signature away",
        "Fetch the vendor's newest roots, and ask the server for the seat again.";
    LeaseOver = 0x0B4A, License, Denied,
        "the lease ended at {a:time}; now it is {b:time}",
        "no heartbeat was sent in time, or the seat was given back",
        "Take a seat again, under a new session.";
    SeatsWait = 0x0B4B, License, Denied,
        "this license waits until {a:time}: before that it gives no seat and goes nowhere else",
        "it begins then; or the server's records were put back to an older state, and seats that \
         they do not know may be held until then",
        "Try again then. Who holds a seat goes on until its lease ends.";
    ClockSetBack = 0x0B90, Vendor, Network,
        "no time is certified: the signer's clock says {a:time}, and it certified {b:time} before",
        "the clock of the signer's machine was put back, or was ahead before",
        "The vendor sets that clock. Nothing was certified.";
    RootOlder = 0x0B91, Vendor, Conflict,
        "the vendor's directory has root version {a}, and version {b} is known already",
        "it is an old copy, or another directory of the same vendor",
        "Put the newest one in its place. What is known counts as before.";
    RootDiffers = 0x0B92, Vendor, Tamper,
        "the vendor's directory has another root of version {a} than the one that is known",
        "two copies of the directory were rotated apart from each other, or somebody else's keys \
         made it",
        "Put back the directory that the known root is from. What is known counts as before.";
    RevocationsOlder = 0x0B93, Vendor, Conflict,
        "the vendor's directory has revocations of epoch {a}, and others up to epoch {b} are known",
        "it is an old copy, or another directory of the same vendor",
        "Put the newest one in its place. What is known counts as before.";
    ModuleAlone = 0x0B94, License, Conflict,
        "product {a} is a module, and what it belongs to is not in this container",
        "its parent is in another container, was taken out, or comes with another ticket",
        "Bring the parent here first, or together with it.";
    KeyGone = 0x0B95, Vendor, Conflict,
        "this was decided under a key that signs no more",
        "the vendor rotated its licensing key since then",
        "Repeat the request: it is made anew under the present key.";
        }
    };
}
