-- Records as JSON in `body`, and beside it what they are found by. Text, BIGINT only; times are
-- milliseconds since 1970 UTC. Every table has the same first columns.

CREATE TABLE vendor (
    tenant TEXT NOT NULL, id TEXT NOT NULL, version BIGINT NOT NULL, body TEXT NOT NULL,
    name TEXT,
    PRIMARY KEY (tenant, id)
);
CREATE UNIQUE INDEX vendor_name ON vendor (tenant, name);

CREATE TABLE api_key (
    tenant TEXT NOT NULL, id TEXT NOT NULL, version BIGINT NOT NULL, body TEXT NOT NULL,
    vendor TEXT,
    PRIMARY KEY (tenant, id)
);
CREATE INDEX api_key_vendor ON api_key (tenant, vendor, id);

CREATE TABLE api_user (
    tenant TEXT NOT NULL, id TEXT NOT NULL, version BIGINT NOT NULL, body TEXT NOT NULL,
    vendor TEXT,
    PRIMARY KEY (tenant, id)
);
CREATE INDEX api_user_vendor ON api_user (tenant, vendor, id);

CREATE TABLE product (
    tenant TEXT NOT NULL, id TEXT NOT NULL, version BIGINT NOT NULL, body TEXT NOT NULL,
    PRIMARY KEY (tenant, id)
);

CREATE TABLE item (
    tenant TEXT NOT NULL, id TEXT NOT NULL, version BIGINT NOT NULL, body TEXT NOT NULL,
    PRIMARY KEY (tenant, id)
);

CREATE TABLE customer (
    tenant TEXT NOT NULL, id TEXT NOT NULL, version BIGINT NOT NULL, body TEXT NOT NULL,
    reference TEXT, email TEXT,
    PRIMARY KEY (tenant, id)
);
CREATE UNIQUE INDEX customer_reference ON customer (tenant, reference);
CREATE INDEX customer_email ON customer (tenant, email, id);

CREATE TABLE sales_order (
    tenant TEXT NOT NULL, id TEXT NOT NULL, version BIGINT NOT NULL, body TEXT NOT NULL,
    order_key TEXT, customer TEXT, line TEXT,
    PRIMARY KEY (tenant, id)
);
CREATE UNIQUE INDEX sales_order_order_key ON sales_order (tenant, order_key);
CREATE INDEX sales_order_customer ON sales_order (tenant, customer, id);
CREATE INDEX sales_order_line ON sales_order (tenant, line, id);

CREATE TABLE ticket (
    tenant TEXT NOT NULL, id TEXT NOT NULL, version BIGINT NOT NULL, body TEXT NOT NULL,
    code_hash TEXT, sales_order TEXT,
    PRIMARY KEY (tenant, id)
);
CREATE UNIQUE INDEX ticket_code_hash ON ticket (tenant, code_hash);
CREATE INDEX ticket_sales_order ON ticket (tenant, sales_order, id);

CREATE TABLE license_grant (
    tenant TEXT NOT NULL, id TEXT NOT NULL, version BIGINT NOT NULL, body TEXT NOT NULL,
    ticket TEXT, container TEXT, state TEXT, lapse_ms BIGINT, assigned TEXT,
    PRIMARY KEY (tenant, id)
);
CREATE INDEX license_grant_ticket ON license_grant (tenant, ticket, id);
CREATE INDEX license_grant_container ON license_grant (tenant, container, id);
CREATE INDEX license_grant_state ON license_grant (tenant, state, id);
CREATE INDEX license_grant_lapse_ms ON license_grant (tenant, lapse_ms);
CREATE INDEX license_grant_assigned ON license_grant (tenant, assigned, id);

CREATE TABLE container (
    tenant TEXT NOT NULL, id TEXT NOT NULL, version BIGINT NOT NULL, body TEXT NOT NULL,
    serial TEXT, customer TEXT, state TEXT,
    PRIMARY KEY (tenant, id)
);
CREATE UNIQUE INDEX container_serial ON container (tenant, serial);
CREATE INDEX container_customer ON container (tenant, customer, id);
CREATE INDEX container_state ON container (tenant, state, id);

CREATE TABLE container_update (
    tenant TEXT NOT NULL, id TEXT NOT NULL, version BIGINT NOT NULL, body TEXT NOT NULL,
    container TEXT, state TEXT,
    PRIMARY KEY (tenant, id)
);
CREATE INDEX container_update_container ON container_update (tenant, container, id);
CREATE INDEX container_update_state ON container_update (tenant, state, id);

CREATE TABLE container_case (
    tenant TEXT NOT NULL, id TEXT NOT NULL, version BIGINT NOT NULL, body TEXT NOT NULL,
    container TEXT, state TEXT,
    PRIMARY KEY (tenant, id)
);
CREATE INDEX container_case_container ON container_case (tenant, container, id);
CREATE INDEX container_case_state ON container_case (tenant, state, id);

CREATE TABLE answer (
    tenant TEXT NOT NULL, id TEXT NOT NULL, version BIGINT NOT NULL, body TEXT NOT NULL,
    until_ms BIGINT,
    PRIMARY KEY (tenant, id)
);
CREATE INDEX answer_until_ms ON answer (tenant, until_ms);

CREATE TABLE audit (
    tenant TEXT NOT NULL, id TEXT NOT NULL, version BIGINT NOT NULL, body TEXT NOT NULL,
    object TEXT, writer TEXT,
    PRIMARY KEY (tenant, id)
);
CREATE INDEX audit_object ON audit (tenant, object, id);
CREATE INDEX audit_writer ON audit (tenant, writer, id);

CREATE TABLE journal_mark (
    tenant TEXT NOT NULL, id TEXT NOT NULL, version BIGINT NOT NULL, body TEXT NOT NULL,
    PRIMARY KEY (tenant, id)
);

CREATE TABLE seat_credential (
    tenant TEXT NOT NULL, id TEXT NOT NULL, version BIGINT NOT NULL, body TEXT NOT NULL,
    license_grant TEXT,
    PRIMARY KEY (tenant, id)
);
CREATE INDEX seat_credential_license_grant ON seat_credential (tenant, license_grant, id);

CREATE TABLE seat_revocation (
    tenant TEXT NOT NULL, id TEXT NOT NULL, version BIGINT NOT NULL, body TEXT NOT NULL,
    PRIMARY KEY (tenant, id)
);

CREATE TABLE webhook (
    tenant TEXT NOT NULL, id TEXT NOT NULL, version BIGINT NOT NULL, body TEXT NOT NULL,
    PRIMARY KEY (tenant, id)
);

CREATE TABLE webhook_message (
    tenant TEXT NOT NULL, id TEXT NOT NULL, version BIGINT NOT NULL, body TEXT NOT NULL,
    vendor TEXT, due_ms BIGINT,
    PRIMARY KEY (tenant, id)
);
CREATE INDEX webhook_message_vendor ON webhook_message (tenant, vendor, id);
CREATE INDEX webhook_message_due_ms ON webhook_message (tenant, due_ms);

-- Seats: numbers only, and no record in JSON, since they change often. `store/seats.rs` explains
-- them. What is to be free lies together in the one index, whose rows come and go at its end.
CREATE TABLE seat_counter (
    id BIGINT PRIMARY KEY, seats BIGINT NOT NULL, in_use BIGINT NOT NULL,
    from_ms BIGINT NOT NULL, until_ms BIGINT NOT NULL,
    timeout_ms BIGINT NOT NULL, linger_ms BIGINT NOT NULL, open BIGINT NOT NULL
);

CREATE TABLE seat (
    high BIGINT NOT NULL, low BIGINT NOT NULL, counter BIGINT NOT NULL,
    seats BIGINT NOT NULL, n BIGINT NOT NULL, state BIGINT NOT NULL,
    until_ms BIGINT NOT NULL, free_ms BIGINT NOT NULL, seats_left BIGINT NOT NULL,
    PRIMARY KEY (high, low, counter)
) /* by its key */;
CREATE INDEX seat_free_ms ON seat (free_ms) WHERE free_ms > 0;

CREATE TABLE seat_log (
    writer BIGINT NOT NULL, number BIGINT NOT NULL, at_ms BIGINT NOT NULL, what BIGINT NOT NULL,
    high BIGINT NOT NULL, low BIGINT NOT NULL, counter BIGINT NOT NULL,
    n BIGINT NOT NULL, seats BIGINT NOT NULL,
    hash_1 BIGINT NOT NULL, hash_2 BIGINT NOT NULL, hash_3 BIGINT NOT NULL, hash_4 BIGINT NOT NULL,
    PRIMARY KEY (writer, number)
) /* by its key */;

CREATE TABLE denial (
    tenant TEXT NOT NULL, id TEXT NOT NULL, version BIGINT NOT NULL, body TEXT NOT NULL,
    PRIMARY KEY (tenant, id)
);

CREATE TABLE shop (
    tenant TEXT NOT NULL, id TEXT NOT NULL, version BIGINT NOT NULL, body TEXT NOT NULL,
    name TEXT,
    PRIMARY KEY (tenant, id)
);
CREATE UNIQUE INDEX shop_name ON shop (tenant, name);

CREATE TABLE shop_line (
    tenant TEXT NOT NULL, id TEXT NOT NULL, version BIGINT NOT NULL, body TEXT NOT NULL,
    line_key TEXT, shop_order TEXT, shop_state TEXT,
    PRIMARY KEY (tenant, id)
);
CREATE UNIQUE INDEX shop_line_line_key ON shop_line (tenant, line_key);
CREATE INDEX shop_line_shop_order ON shop_line (tenant, shop_order, id);
CREATE INDEX shop_line_shop_state ON shop_line (tenant, shop_state, id);

CREATE TABLE shop_link (
    tenant TEXT NOT NULL, id TEXT NOT NULL, version BIGINT NOT NULL, body TEXT NOT NULL,
    PRIMARY KEY (tenant, id)
);
