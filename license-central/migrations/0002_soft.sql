-- Soft licenses: containers that asked to be certified.
CREATE TABLE enrolled (
    tenant TEXT NOT NULL, id TEXT NOT NULL, version BIGINT NOT NULL, body TEXT NOT NULL,
    PRIMARY KEY (tenant, id)
);
