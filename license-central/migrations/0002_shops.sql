-- What came with the connectors of shops, and refused uses. As in the first step.

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
