-- What was last known without asking: who owns what, and who was active when.
-- Both are read from Amplitude by sweeps and may be thrown away at any time.

-- +goose Up
-- +goose StatementBegin

create table owned_asset (
    organization text   not null,
    project      bigint not null,
    list         text   not null, -- which of the project's lists showed it
    owner_key    text   not null, -- an address, folded, or a display name where owners are free text
    remote_id    text   not null,
    kind         text   not null,
    name         text   not null,
    source       text   not null, -- which API, and in which places it names the owner
    free_text    boolean not null, -- the owner is whatever people typed
    seen_at      bigint not null,
    primary key (organization, project, list, owner_key, remote_id)
);
create index owned_asset_owner on owned_asset (owner_key);

-- Which lists were read, completely, and when: no row in owned_asset means
-- nothing without one here.
create table owned_list (
    organization text   not null,
    project      bigint not null,
    list         text   not null,
    entries      bigint not null,
    truncated    boolean not null, -- the API ends its list early
    seen_at      bigint not null,
    primary key (organization, project, list)
);

-- What the audit log told about one address.
create table activity (
    organization text   not null,
    address_key  text   not null,
    last_login   bigint not null, -- 0: none since the log is known
    last_seen    bigint not null,
    primary key (organization, address_key)
);
create index activity_seen on activity (organization, last_seen);

-- Bulk transfers of content that the audit log told about.
create table bulk_transfer (
    organization text   not null,
    from_key     text   not null,
    at           bigint not null,
    to_key       text   not null,
    by_whom      text   not null,
    project      text   not null, -- empty: of the whole organization
    raw          text   not null, -- the entry as it came
    primary key (organization, from_key, at, to_key)
);

-- How far the audit log was read: it is known from known_from to read_to.
create table activity_mark (
    organization text   not null primary key,
    known_from   bigint not null,
    read_to      bigint not null
);
-- +goose StatementEnd
