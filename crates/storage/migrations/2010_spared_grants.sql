-- Of a row that means only the tokens there are: what was granted stands, and whoever refreshes is read anew.
ALTER TABLE revocations ADD COLUMN spares_grants BOOLEAN NOT NULL DEFAULT FALSE;
