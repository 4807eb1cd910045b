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
    LicenseNotServed = 0x0B40, License, Conflict,
        "this license does not give seats over the network",
        "it is in a container, or was withdrawn, or nobody serves it",
        "Look at where it is: GET /v1/grants. Release it from its container, then serve it.";
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
        "it has not begun, has ended, or the vendor takes it back",
        "Ask the vendor.";
    CredentialRefused = 0x0B47, Caller, Permission,
        "this needs the credential of seats",
        "none was sent, or it is wrong, or it was revoked",
        "Send it: Authorization: Bearer crd_…. A new one comes from the ticket or from the vendor.";
        }
    };
}
