CREATE TABLE alembic_version (
	version_num VARCHAR(32) NOT NULL,
	CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num)
);
CREATE TABLE alerts (
	seq INTEGER NOT NULL,
	id TEXT NOT NULL,
	fingerprint TEXT NOT NULL,
	status TEXT NOT NULL,
	starts_at BIGINT NOT NULL,
	ends_at BIGINT,
	name TEXT NOT NULL,
	labels TEXT NOT NULL,
	annotations TEXT NOT NULL,
	generator_url TEXT NOT NULL,
	receiver TEXT NOT NULL,
	group_key TEXT NOT NULL,
	group_labels TEXT NOT NULL,
	received_at BIGINT NOT NULL,
	last_at BIGINT NOT NULL,
	decided SMALLINT NOT NULL,
	deliveries INTEGER NOT NULL,
	PRIMARY KEY (seq),
	UNIQUE (id)
);
CREATE UNIQUE INDEX alerts_identity ON alerts (fingerprint, starts_at, status);
CREATE INDEX alerts_name ON alerts (name, last_at);
CREATE INDEX alerts_undecided ON alerts (seq) WHERE decided = 0;
CREATE TABLE brakes (
	name TEXT NOT NULL,
	engaged SMALLINT NOT NULL,
	"by" TEXT NOT NULL,
	reason TEXT NOT NULL,
	at BIGINT NOT NULL,
	body TEXT NOT NULL,
	PRIMARY KEY (name)
);
CREATE TABLE chains (
	chain TEXT NOT NULL,
	n INTEGER NOT NULL,
	hash BLOB NOT NULL,
	sealed INTEGER NOT NULL,
	PRIMARY KEY (chain)
)
 WITHOUT ROWID;
CREATE INDEX chains_unsealed ON chains (chain) WHERE n > sealed;
CREATE TABLE decisions (
	seq INTEGER NOT NULL,
	id TEXT NOT NULL,
	alert_id TEXT,
	rule TEXT NOT NULL,
	verdict TEXT NOT NULL,
	reason TEXT NOT NULL,
	at BIGINT NOT NULL,
	run_id TEXT,
	incident_id TEXT,
	PRIMARY KEY (seq),
	UNIQUE (id)
);
CREATE INDEX decisions_alert ON decisions (alert_id);
CREATE INDEX decisions_incident ON decisions (incident_id) WHERE incident_id IS NOT NULL;
CREATE INDEX decisions_rule ON decisions (rule, seq);
CREATE INDEX decisions_run ON decisions (run_id) WHERE run_id IS NOT NULL;
CREATE TABLE deliveries (
	seq INTEGER NOT NULL,
	id TEXT NOT NULL,
	received_at BIGINT NOT NULL,
	receiver TEXT NOT NULL,
	group_key TEXT NOT NULL,
	truncated INTEGER NOT NULL,
	over_limit INTEGER NOT NULL,
	unreadable TEXT NOT NULL,
	PRIMARY KEY (seq),
	UNIQUE (id)
);
CREATE TABLE entries (
	chain TEXT NOT NULL,
	n INTEGER NOT NULL,
	at BIGINT NOT NULL,
	kind TEXT NOT NULL,
	body TEXT NOT NULL,
	hash BLOB NOT NULL,
	PRIMARY KEY (chain, n)
)
 WITHOUT ROWID;
CREATE TABLE episode_alerts (
	episode_id TEXT NOT NULL,
	fingerprint TEXT NOT NULL,
	starts_at BIGINT NOT NULL,
	resolved SMALLINT NOT NULL,
	PRIMARY KEY (episode_id, fingerprint, starts_at)
)
 WITHOUT ROWID;
CREATE INDEX episode_alerts_alert ON episode_alerts (fingerprint, starts_at);
CREATE TABLE episodes (
	seq INTEGER NOT NULL,
	id TEXT NOT NULL,
	rule TEXT NOT NULL,
	"key" TEXT NOT NULL,
	opened_at BIGINT NOT NULL,
	closed_at BIGINT,
	run_id TEXT,
	incident_id TEXT,
	PRIMARY KEY (seq),
	UNIQUE (id)
);
CREATE INDEX episodes_incident ON episodes (incident_id) WHERE closed_at IS NULL;
CREATE UNIQUE INDEX episodes_open ON episodes (rule, "key") WHERE closed_at IS NULL;
CREATE INDEX episodes_run ON episodes (run_id) WHERE run_id IS NOT NULL;
CREATE TABLE gates (
	seq INTEGER NOT NULL,
	id TEXT NOT NULL,
	run_id TEXT NOT NULL,
	address TEXT NOT NULL,
	role TEXT NOT NULL,
	approvals INTEGER NOT NULL,
	fingerprint TEXT NOT NULL,
	state TEXT NOT NULL,
	opened_at BIGINT NOT NULL,
	expires_at BIGINT,
	body TEXT NOT NULL,
	closed_at BIGINT,
	PRIMARY KEY (seq),
	UNIQUE (id)
);
CREATE INDEX gates_open ON gates (seq) WHERE state = 'open';
CREATE INDEX gates_run ON gates (run_id);
CREATE TABLE images (
	run_id TEXT NOT NULL,
	"key" TEXT NOT NULL,
	at BIGINT NOT NULL,
	digest TEXT NOT NULL,
	key_id TEXT NOT NULL,
	sealed BLOB,
	PRIMARY KEY (run_id, "key")
);
CREATE INDEX images_at ON images (at) WHERE sealed IS NOT NULL;
CREATE TABLE incident_alerts (
	incident_id TEXT NOT NULL,
	alert_id TEXT NOT NULL,
	PRIMARY KEY (incident_id, alert_id)
)
 WITHOUT ROWID;
CREATE TABLE incidents (
	seq INTEGER NOT NULL,
	id TEXT NOT NULL,
	title TEXT NOT NULL,
	rule TEXT NOT NULL,
	state TEXT NOT NULL,
	severity TEXT NOT NULL,
	opened_at BIGINT NOT NULL,
	resolved_at BIGINT,
	body TEXT NOT NULL,
	PRIMARY KEY (seq),
	UNIQUE (id)
);
CREATE INDEX incidents_open ON incidents (seq) WHERE state NOT IN ('resolved', 'closed');
CREATE TABLE lock_waits (
	connection TEXT NOT NULL,
	path TEXT NOT NULL,
	run_id TEXT NOT NULL,
	PRIMARY KEY (connection, path, run_id)
)
 WITHOUT ROWID;
CREATE INDEX lock_waits_run ON lock_waits (run_id);
CREATE TABLE locks (
	connection TEXT NOT NULL,
	path TEXT NOT NULL,
	run_id TEXT NOT NULL,
	PRIMARY KEY (connection, path)
)
 WITHOUT ROWID;
CREATE INDEX locks_run ON locks (run_id);
CREATE TABLE plans (
	run_id TEXT NOT NULL,
	fingerprint TEXT NOT NULL,
	n INTEGER NOT NULL,
	body TEXT NOT NULL,
	PRIMARY KEY (run_id, fingerprint)
);
CREATE TABLE postponed (
	alert_id TEXT NOT NULL,
	rule TEXT NOT NULL,
	due BIGINT NOT NULL,
	busy_group TEXT,
	PRIMARY KEY (alert_id, rule)
)
 WITHOUT ROWID;
CREATE INDEX postponed_due ON postponed (due);
CREATE INDEX postponed_group ON postponed (busy_group) WHERE busy_group IS NOT NULL;
CREATE TABLE programs (
	digest TEXT NOT NULL,
	body TEXT NOT NULL,
	PRIMARY KEY (digest)
);
CREATE TABLE reservations (
	scope TEXT NOT NULL,
	unit TEXT NOT NULL,
	"key" TEXT NOT NULL,
	amount BIGINT NOT NULL,
	run_id TEXT NOT NULL,
	at BIGINT NOT NULL,
	PRIMARY KEY (scope, unit, "key")
)
 WITHOUT ROWID;
CREATE INDEX reservations_at ON reservations (scope, unit, at);
CREATE TABLE runs (
	seq INTEGER NOT NULL,
	id TEXT NOT NULL,
	playbook TEXT NOT NULL,
	program TEXT NOT NULL,
	rule TEXT,
	incident_id TEXT,
	state TEXT NOT NULL,
	mode TEXT NOT NULL,
	priority SMALLINT NOT NULL,
	inputs TEXT NOT NULL,
	"trigger" TEXT NOT NULL,
	requester TEXT NOT NULL,
	created_at BIGINT NOT NULL,
	ended_at BIGINT,
	epoch INTEGER NOT NULL,
	owner TEXT,
	ready SMALLINT NOT NULL,
	reason TEXT NOT NULL,
	concurrency_group TEXT,
	parent TEXT,
	PRIMARY KEY (seq),
	UNIQUE (id)
);
CREATE INDEX runs_active_group ON runs (concurrency_group) WHERE ended_at IS NULL;
CREATE INDEX runs_incident ON runs (incident_id) WHERE incident_id IS NOT NULL;
CREATE INDEX runs_owned ON runs (owner) WHERE owner IS NOT NULL;
CREATE INDEX runs_playbook ON runs (playbook, seq);
CREATE INDEX runs_ready ON runs (priority DESC, seq) WHERE ready = 1 AND owner IS NULL;
CREATE INDEX runs_state ON runs (state, seq);
CREATE TABLE schedule_fires (
	schedule TEXT NOT NULL,
	at BIGINT NOT NULL,
	PRIMARY KEY (schedule, at)
)
 WITHOUT ROWID;
CREATE TABLE seals (
	n INTEGER NOT NULL,
	at BIGINT NOT NULL,
	key_id TEXT NOT NULL,
	heads TEXT NOT NULL,
	mac BLOB NOT NULL,
	PRIMARY KEY (n)
);
CREATE TABLE throttles (
	rule TEXT NOT NULL,
	"key" TEXT NOT NULL,
	at BIGINT NOT NULL,
	PRIMARY KEY (rule, "key")
)
 WITHOUT ROWID;
CREATE TABLE timers (
	run_id TEXT NOT NULL,
	name TEXT NOT NULL,
	at BIGINT NOT NULL,
	PRIMARY KEY (run_id, name)
)
 WITHOUT ROWID;
CREATE INDEX timers_at ON timers (at);
CREATE TABLE tokens (
	hashed TEXT NOT NULL,
	name TEXT NOT NULL,
	roles TEXT NOT NULL,
	created_at BIGINT NOT NULL,
	expires_at BIGINT,
	revoked_at BIGINT,
	PRIMARY KEY (hashed)
);
CREATE INDEX tokens_name ON tokens (name);
CREATE TABLE window_members (
	rule TEXT NOT NULL,
	"key" TEXT NOT NULL,
	member TEXT NOT NULL,
	at BIGINT NOT NULL,
	PRIMARY KEY (rule, "key", member)
)
 WITHOUT ROWID;
CREATE INDEX window_members_at ON window_members (rule, "key", at);
CREATE TABLE workers (
	id TEXT NOT NULL,
	started_at BIGINT NOT NULL,
	lease_until BIGINT NOT NULL,
	dead SMALLINT NOT NULL,
	present SMALLINT NOT NULL,
	PRIMARY KEY (id)
);
CREATE TABLE votes (
	gate_id TEXT NOT NULL,
	actor TEXT NOT NULL,
	via TEXT NOT NULL,
	decision TEXT NOT NULL,
	comment TEXT NOT NULL,
	at BIGINT NOT NULL,
	PRIMARY KEY (gate_id, actor),
	FOREIGN KEY(gate_id) REFERENCES gates (id)
)
 WITHOUT ROWID;
CREATE TRIGGER entries_no_update BEFORE UPDATE ON entries BEGIN SELECT RAISE(ABORT, 'the journal is append-only'); END;
CREATE TRIGGER entries_no_delete BEFORE DELETE ON entries BEGIN SELECT RAISE(ABORT, 'the journal is append-only'); END;
CREATE TRIGGER seals_no_update BEFORE UPDATE ON seals BEGIN SELECT RAISE(ABORT, 'the journal is append-only'); END;
CREATE TRIGGER seals_no_delete BEFORE DELETE ON seals BEGIN SELECT RAISE(ABORT, 'the journal is append-only'); END;
CREATE TABLE pages (
	seq INTEGER NOT NULL,
	id TEXT NOT NULL,
	subject TEXT NOT NULL,
	level TEXT NOT NULL,
	reason TEXT NOT NULL,
	run_id TEXT,
	incident_id TEXT,
	raised_at BIGINT NOT NULL,
	next_at BIGINT NOT NULL,
	told INTEGER NOT NULL,
	acked_at BIGINT,
	acked_by TEXT NOT NULL,
	note TEXT NOT NULL,
	PRIMARY KEY (seq),
	UNIQUE (id)
);
CREATE UNIQUE INDEX pages_open ON pages (subject) WHERE acked_at IS NULL;
CREATE INDEX pages_due ON pages (next_at) WHERE acked_at IS NULL;
CREATE INDEX pages_run ON pages (run_id) WHERE run_id IS NOT NULL;
CREATE TABLE delegations (
	seq INTEGER NOT NULL,
	id TEXT NOT NULL,
	role TEXT NOT NULL,
	giver TEXT NOT NULL,
	taker TEXT NOT NULL,
	reason TEXT NOT NULL,
	at BIGINT NOT NULL,
	until BIGINT NOT NULL,
	revoked_at BIGINT,
	revoked_by TEXT NOT NULL,
	PRIMARY KEY (seq),
	UNIQUE (id)
);
CREATE INDEX delegations_taker ON delegations (taker, until);
CREATE TABLE closings (
	gate_id TEXT NOT NULL,
	"by" TEXT NOT NULL,
	reason TEXT NOT NULL,
	PRIMARY KEY (gate_id),
	FOREIGN KEY(gate_id) REFERENCES gates (id)
)
 WITHOUT ROWID;
CREATE TABLE outbox (
	seq INTEGER NOT NULL,
	id TEXT NOT NULL,
	lane TEXT NOT NULL,
	kind TEXT NOT NULL,
	name TEXT,
	body TEXT NOT NULL,
	state TEXT NOT NULL,
	attempts INTEGER NOT NULL,
	error TEXT NOT NULL,
	at BIGINT NOT NULL,
	PRIMARY KEY (seq),
	UNIQUE (id)
);
CREATE INDEX outbox_open ON outbox (lane, seq) WHERE state IN ('queued', 'sending');
CREATE INDEX outbox_closed ON outbox (at) WHERE state NOT IN ('queued', 'sending');
CREATE TABLE lanes (
	lane TEXT NOT NULL,
	channel TEXT,
	next_at BIGINT,
	owner TEXT,
	owned_until BIGINT,
	epoch INTEGER NOT NULL,
	error TEXT NOT NULL,
	PRIMARY KEY (lane)
)
 WITHOUT ROWID;
CREATE INDEX lanes_due ON lanes (next_at) WHERE next_at IS NOT NULL;
CREATE TABLE posts (
	lane TEXT NOT NULL,
	name TEXT NOT NULL,
	ref TEXT NOT NULL,
	at BIGINT NOT NULL,
	PRIMARY KEY (lane, name)
)
 WITHOUT ROWID;
CREATE TABLE rooms (
	incident_id TEXT NOT NULL,
	state TEXT NOT NULL,
	version INTEGER NOT NULL,
	body TEXT NOT NULL,
	due BIGINT,
	PRIMARY KEY (incident_id)
);
CREATE INDEX rooms_live ON rooms (incident_id) WHERE state <> 'closed';
CREATE TABLE inbox (
	seq INTEGER NOT NULL,
	id TEXT NOT NULL,
	kind TEXT NOT NULL,
	body TEXT NOT NULL,
	state TEXT NOT NULL,
	owner TEXT,
	owned_until BIGINT,
	at BIGINT NOT NULL,
	PRIMARY KEY (seq),
	UNIQUE (id)
);
CREATE INDEX inbox_open ON inbox (seq) WHERE state <> 'done';
CREATE INDEX inbox_at ON inbox (at);
CREATE INDEX pages_incident ON pages (incident_id) WHERE incident_id IS NOT NULL;
CREATE TABLE calls (
	id TEXT NOT NULL,
	subject TEXT NOT NULL,
	run_id TEXT,
	incident_id TEXT,
	level TEXT NOT NULL,
	chain TEXT NOT NULL,
	reason TEXT NOT NULL,
	state TEXT NOT NULL,
	rung INTEGER NOT NULL,
	round INTEGER NOT NULL,
	next_at BIGINT,
	opened_at BIGINT NOT NULL,
	closed_at BIGINT,
	body TEXT NOT NULL,
	PRIMARY KEY (id)
)
 WITHOUT ROWID;
CREATE INDEX calls_open ON calls (opened_at) WHERE closed_at IS NULL;
CREATE INDEX calls_due ON calls (next_at) WHERE next_at IS NOT NULL;
CREATE TABLE call_sends (
	call_id TEXT NOT NULL,
	n BIGINT NOT NULL,
	event TEXT NOT NULL,
	contact TEXT NOT NULL,
	way TEXT NOT NULL,
	state TEXT NOT NULL,
	at BIGINT NOT NULL,
	tries INTEGER NOT NULL,
	next_at BIGINT,
	error TEXT NOT NULL,
	PRIMARY KEY (call_id, n)
)
 WITHOUT ROWID;
CREATE INDEX call_sends_due ON call_sends (next_at) WHERE next_at IS NOT NULL;
CREATE TABLE artifacts (
	seq INTEGER NOT NULL,
	id TEXT NOT NULL,
	subject TEXT NOT NULL,
	name TEXT NOT NULL,
	content_type TEXT NOT NULL,
	bytes BIGINT NOT NULL,
	sha256 TEXT NOT NULL,
	reference TEXT NOT NULL,
	"by" TEXT NOT NULL,
	at BIGINT NOT NULL,
	content BLOB,
	PRIMARY KEY (seq),
	UNIQUE (id)
);
CREATE UNIQUE INDEX artifacts_subject ON artifacts (subject, name, sha256);
CREATE TABLE step_acts (
	"key" TEXT NOT NULL,
	subject TEXT NOT NULL,
	result TEXT NOT NULL,
	PRIMARY KEY ("key")
)
 WITHOUT ROWID;
CREATE TABLE postmortems (
	incident_id TEXT NOT NULL,
	state TEXT NOT NULL,
	due_at BIGINT,
	next_at BIGINT,
	reminded INTEGER NOT NULL,
	version INTEGER NOT NULL,
	sections TEXT NOT NULL,
	"by" TEXT NOT NULL,
	at BIGINT NOT NULL,
	PRIMARY KEY (incident_id)
)
 WITHOUT ROWID;
CREATE INDEX postmortems_due ON postmortems (next_at) WHERE next_at IS NOT NULL;
CREATE TABLE web_sessions (
	hashed TEXT NOT NULL,
	token TEXT NOT NULL,
	created_at BIGINT NOT NULL,
	expires_at BIGINT NOT NULL,
	PRIMARY KEY (hashed)
);
CREATE INDEX web_sessions_expiry ON web_sessions (expires_at);
CREATE TABLE measures (
	seq INTEGER NOT NULL,
	at BIGINT NOT NULL,
	event TEXT NOT NULL,
	run_id TEXT NOT NULL,
	address TEXT NOT NULL,
	stage TEXT NOT NULL,
	state TEXT,
	category TEXT,
	started_at BIGINT,
	attempts INTEGER NOT NULL,
	cpu BIGINT NOT NULL,
	memory BIGINT,
	message TEXT NOT NULL,
	PRIMARY KEY (seq)
);
CREATE INDEX measures_at ON measures (at, seq);
CREATE TABLE done_items (
	content TEXT NOT NULL,
	run_id TEXT NOT NULL,
	address TEXT NOT NULL,
	at BIGINT NOT NULL,
	PRIMARY KEY (content)
)
 WITHOUT ROWID;
CREATE INDEX done_items_run ON done_items (run_id);
CREATE INDEX done_items_at ON done_items (at);
CREATE INDEX artifacts_at ON artifacts (at) WHERE content IS NOT NULL;
INSERT INTO alembic_version (version_num) VALUES ('0008');
