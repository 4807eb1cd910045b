-- Soft licenses: what a vendor allows, whose TPMs count, and which container took the place of a
-- lost one.
CREATE TABLE soft_rules (
    tenant TEXT NOT NULL, id TEXT NOT NULL, version BIGINT NOT NULL, body TEXT NOT NULL,
    PRIMARY KEY (tenant, id)
);

CREATE TABLE tpm_authority (
    tenant TEXT NOT NULL, id TEXT NOT NULL, version BIGINT NOT NULL, body TEXT NOT NULL,
    PRIMARY KEY (tenant, id)
);

CREATE TABLE take_over (
    tenant TEXT NOT NULL, id TEXT NOT NULL, version BIGINT NOT NULL, body TEXT NOT NULL,
    successor TEXT, counted TEXT,
    PRIMARY KEY (tenant, id)
);
CREATE INDEX take_over_successor ON take_over (tenant, successor, id);
CREATE INDEX take_over_counted ON take_over (tenant, counted, id);

-- Since when a request waits for its proof. Those from before are kept.
ALTER TABLE enrolled ADD COLUMN waits_ms BIGINT;
CREATE INDEX enrolled_waits_ms ON enrolled (tenant, waits_ms);
