-- The table of the runbook's queries, with the columns that they name.
CREATE TABLE public.batch_jobs (
    batch_id text PRIMARY KEY,
    tenant_id text,
    profile text NOT NULL,
    status text NOT NULL,
    priority text DEFAULT 'normal',
    item_count integer,
    sla_hours numeric NOT NULL DEFAULT 24,
    estimated_cost_usd numeric,
    incident_id text,
    error_code text,
    error_message text,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    completed_at timestamptz,
    failed_at timestamptz
);
