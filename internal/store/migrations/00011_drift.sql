-- What the last sweeps saw in Amplitude, and where it differs from what is meant.

-- +goose Up
-- +goose StatementBegin

-- The seats of every organization, as the sweeps saw them.
create table member (
    organization text    not null,
    address_key  text    not null,
    address      text    not null, -- as Amplitude writes it
    name         text    not null,
    name_key     text    not null, -- empty where the name says nothing
    plain_key    text    not null, -- the address without its plus part
    role         text    not null, -- Admin where that is known; empty: not known
    pending      boolean not null,
    sweep        bigint  not null, -- the last one that saw it
    first_seen   bigint  not null,
    last_seen    bigint  not null,
    gone_at      bigint  not null, -- when a complete list no longer had it; 0: it is there
    primary key (organization, address_key)
);
create index member_plain on member (organization, plain_key);
create index member_name on member (organization, name_key) where name_key <> '';
create index member_address on member (address_key) where gone_at = 0;
create index member_sweep on member (organization, sweep) where gone_at = 0;

create table member_group (
    organization text   not null,
    address_key  text   not null,
    group_id     text   not null,
    group_name   text   not null,
    sweep        bigint not null,
    primary key (organization, address_key, group_id)
);

-- One row for each organization: the sweep at work or the last one.
create table sweep (
    organization text    not null primary key,
    number       bigint  not null, -- grows with each sweep
    running      boolean not null,
    asked_at     bigint  not null, -- by an operator, after the last one began
    asked_by     text    not null,
    started_at   bigint  not null,
    beat_at      bigint  not null,
    finished_at  bigint  not null,
    trusted_at   bigint  not null, -- when the last one that can be trusted ended
    members      bigint  not null, -- that it saw
    note         text    not null, -- what was not checked, and why
    failed       text    not null, -- why the last one is not trusted
    audit_until  bigint  not null,
    admins_at    bigint  not null
);

-- Entries of the audit log about people who are leaving, or left, and about new seats.
create table seat_event (
    organization text   not null,
    address_key  text   not null,
    at           bigint not null,
    action       text   not null,
    actor        text   not null,
    primary key (organization, address_key, at, action)
);
create index seat_event_at on seat_event (at);

create table finding (
    id           text   not null primary key,
    kind         text   not null,
    severity     text   not null,
    organization text   not null,
    object       text   not null, -- what it is about; one finding for each kind, organization and object
    connection   text   not null,
    address      text   not null,
    address_key  text   not null,
    person_id    text   not null,
    case_id      text   not null,
    reason       text   not null, -- of the case that would end it
    body         text   not null,
    cause        text   not null,
    proposed     text   not null,
    data         text   not null,
    first_seen   bigint not null,
    last_seen    bigint not null,
    sweep        bigint not null,
    state        text   not null,
    ack_by       text   not null,
    ack_why      text   not null,
    ack_until    bigint not null,
    resolved_at  bigint not null,
    rounds       bigint not null,
    told_at      bigint not null, -- when the channels were told that it is open; 0: not yet
    unique (kind, organization, object)
);
create index finding_listed on finding (id) where state <> 'resolved';
create index finding_counted on finding (kind, severity) where state <> 'resolved';
create index finding_address on finding (organization, address_key) where state <> 'resolved';

create index cases_of_address on cases (address_key, id);
create index cases_ended_at on cases (closed_at, id) where closed_at > 0;
-- +goose StatementEnd
