CREATE TABLE IF NOT EXISTS hero_snapshots (
    id text PRIMARY KEY,
    size_bytes bigint NOT NULL,
    source text NOT NULL,
    raw jsonb NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now()
);
CREATE TABLE IF NOT EXISTS etl_errors (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    snapshot_id text NOT NULL REFERENCES hero_snapshots (id),
    error_type text NOT NULL,
    message text NOT NULL,
    details jsonb NOT NULL DEFAULT '{}',
    created_at timestamptz NOT NULL DEFAULT now()
);
CREATE TABLE IF NOT EXISTS queue_jobs (
    id bigint PRIMARY KEY,
    kind text NOT NULL,
    status text NOT NULL CHECK (status IN ('pending', 'running', 'paused', 'done', 'failed')),
    attempts integer NOT NULL DEFAULT 0,
    max_attempts integer NOT NULL DEFAULT 5,
    run_after timestamptz NOT NULL DEFAULT now()
);
CREATE TABLE IF NOT EXISTS backfill_jobs (
    id bigint PRIMARY KEY,
    name text NOT NULL,
    status text NOT NULL CHECK (status IN ('pending', 'running', 'paused', 'done', 'failed')),
    total bigint NOT NULL,
    done bigint NOT NULL DEFAULT 0
);
