-- One schema for SQLite and PostgreSQL: text, bigint and boolean only; times are
-- UTC milliseconds with 0 for "not yet"; JSON is text.

-- +goose Up
-- +goose StatementBegin

create table person (
    id            text    not null primary key,
    connection    text    not null,
    external_id   text    not null,
    user_name     text    not null,
    user_name_key text    collate "binary" not null, -- searched by prefix
    display_name  text    not null,
    display_key   text    not null,
    given_name    text    not null,
    family_name   text    not null,
    address       text    not null,
    address_key   text    not null,
    address_since bigint  not null,
    emails        text    not null,
    manager       text    not null,
    manager_key   text    not null,
    department    text    not null,
    title         text    not null,
    active        boolean not null,
    claims        text    not null,
    removal       text    not null,
    resource      text    not null,
    version       bigint  not null,
    created_at    bigint  not null,
    modified_at   bigint  not null,
    deleted_at    bigint  not null
);
create unique index person_user_name on person (connection, user_name_key) where deleted_at = 0;
create index person_external_id on person (connection, external_id, id) where deleted_at = 0;
create index person_listed on person (connection, id) where deleted_at = 0;
create index person_active on person (connection, active, id) where deleted_at = 0;
create index person_manager on person (connection, manager_key, id) where deleted_at = 0;
create index person_display on person (connection, display_key, id) where deleted_at = 0;
create index person_created on person (connection, created_at, id) where deleted_at = 0;
create index person_modified on person (connection, modified_at, id) where deleted_at = 0;

-- Every address a person holds: kind is seat, user_name or email.
create table person_address (
    person_id  text   not null,
    connection text   not null,
    kind       text   not null,
    value_key  text   not null,
    since      bigint not null,
    primary key (person_id, kind, value_key)
);
create index person_address_value on person_address (value_key, connection, kind);

create table scim_group (
    id           text    not null primary key,
    connection   text    not null,
    display_name text    not null,
    display_key  text    not null,
    external_id  text    not null,
    access_name  text    not null, -- the configured name it is bound to; empty: not an access group
    version      bigint  not null,
    created_at   bigint  not null,
    modified_at  bigint  not null,
    deleted_at   bigint  not null
);
create index scim_group_display on scim_group (connection, display_key, id) where deleted_at = 0;
create index scim_group_external_id on scim_group (connection, external_id, id) where deleted_at = 0;
create index scim_group_listed on scim_group (connection, id) where deleted_at = 0;
create unique index scim_group_access on scim_group (connection, access_name) where deleted_at = 0 and access_name <> '';

create table membership (
    group_id  text   not null,
    person_id text   not null,
    since     bigint not null,
    primary key (group_id, person_id)
);
create index membership_person on membership (person_id, group_id);

create table token (
    id         text   not null primary key,
    connection text   not null,
    hash       text   not null unique,
    created_at bigint not null,
    expires_at bigint not null,
    revoked_at bigint not null
);
create index token_connection on token (connection);

create table cases (
    id          text   not null primary key,
    person_id   text   not null,
    connection  text   not null,
    address     text   not null,
    address_key text   not null,
    plan        text   not null,
    reason      text   not null,
    trigger_form text  not null,
    ticket      text   not null,
    policy      text   not null,
    state       text   not null,
    waiting     text   not null,
    note        text   not null,
    batch       text   not null,
    ending      text   not null,
    outcome     text   not null,
    epoch       bigint not null,
    signal      bigint not null,
    lease_until bigint not null,
    wake_at     bigint not null, -- when the case has to be looked at again; 0: only by a signal
    queued_at   bigint not null, -- when a job was enqueued that has not been claimed yet
    opened_at   bigint not null,
    not_before  bigint not null,
    due_at      bigint not null,
    removed_at  bigint not null,
    verified_at bigint not null,
    waited_ms   bigint not null, -- spent waiting for people
    wait_since  bigint not null,
    closed_at   bigint not null
);
create unique index cases_live on cases (person_id) where closed_at = 0;
create index cases_due on cases (wake_at) where closed_at = 0 and wake_at > 0;
create index cases_queued on cases (queued_at) where closed_at = 0 and queued_at > 0;
create index cases_state on cases (state, id);
create index cases_person on cases (person_id, id);
create index cases_address on cases (address_key) where closed_at = 0;

create table step (
    case_id     text   not null,
    seq         bigint not null,
    name        text   not null,
    state       text   not null,
    attempts    bigint not null,
    result      text   not null,
    error       text   not null,
    started_at  bigint not null,
    finished_at bigint not null,
    primary key (case_id, seq)
);

create table asset (
    case_id      text   not null,
    id           text   not null,
    kind         text   not null,
    organization text   not null,
    project      bigint not null,
    remote_id    text   not null,
    name         text   not null,
    state        text   not null,
    new_owner    text   not null,
    by_whom      text   not null,
    source       text   not null,
    primary key (case_id, id)
);

create table task (
    id         text   not null primary key,
    case_id    text   not null,
    kind       text   not null,
    task_key   text   not null,
    title      text   not null,
    body       text   not null,
    link       text   not null,
    assignee   text   not null,
    successor  text   not null,
    state      text   not null,
    due_at     bigint not null,
    opened_at  bigint not null,
    by_whom    text   not null,
    note       text   not null,
    ended_at   bigint not null,
    unique (case_id, task_key)
);
create index task_state on task (state, id);

create table approval (
    case_id text   not null,
    by_key  text   not null,
    by_whom text   not null,
    role    text   not null,
    ticket  text   not null,
    note    text   not null,
    at      bigint not null,
    primary key (case_id, by_key)
);

create table effect (
    key         text   not null primary key,
    case_id     text   not null,
    step        text   not null,
    object      text   not null,
    state       text   not null,
    response    text   not null,
    epoch       bigint not null,
    intended_at bigint not null,
    done_at     bigint not null
);
create index effect_case on effect (case_id);

create table receipt (
    hash       text   not null primary key,
    case_id    text   not null,
    effect_key text   not null,
    created_at bigint not null,
    expires_at bigint not null,
    used_at    bigint not null
);

create table rotation (
    id         text   not null primary key,
    credential text   not null,
    state      text   not null,
    result     text   not null,
    opened_at  bigint not null,
    minted_at  bigint not null,
    retire_at  bigint not null,
    retired_at bigint not null
);
create unique index rotation_open on rotation (credential) where state = 'open';
create index rotation_credential on rotation (credential, minted_at);

create table rotation_case (
    rotation_id text not null,
    case_id     text not null,
    primary key (rotation_id, case_id)
);
create index rotation_case_case on rotation_case (case_id);

create table seat_claim (
    organization text not null,
    address_key  text not null,
    case_id      text not null,
    primary key (organization, address_key)
);
create index seat_claim_case on seat_claim (case_id);

create table timeline (
    case_id   text   not null,
    seq       bigint not null,
    at        bigint not null,
    actor     text   not null,
    kind      text   not null,
    body      text   not null,
    data      text   not null,
    prev_hash text   not null,
    hash      text   not null,
    primary key (case_id, seq)
);

create table evidence (
    case_id text   not null primary key,
    body    text   not null,
    hash    text   not null,
    at      bigint not null
);

-- SCIM requests of the last minute, one row each: the budget is exact.
create table budget_use (
    id           text   not null primary key,
    organization text   not null,
    share        text   not null,
    at           bigint not null
);
create index budget_use_recent on budget_use (organization, at);

create table budget (
    organization    text   not null primary key,
    throttled_until bigint not null,
    asked           text   not null
);

create table schedule (
    name     text   not null primary key,
    next_due bigint not null
);

create table pause (
    name    text   not null primary key,
    by_whom text   not null,
    why     text   not null,
    at      bigint not null
);
-- +goose StatementEnd
