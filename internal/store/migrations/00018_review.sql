-- +goose Up
-- +goose StatementBegin
create table review (
    id          text   not null primary key,
    state       text   not null,
    by_whom     text   not null,
    note        text   not null,
    started_at  bigint not null,
    read_at     bigint not null,
    due_at      bigint not null,
    compared_at bigint not null,
    closed_at   bigint not null,
    closed_by   text   not null
);
create unique index review_live on review ((1)) where closed_at = 0;

create table review_item (
    review_id    text   not null,
    organization text   not null,
    address_key  text   not null,
    address      text   not null,
    name         text   not null,
    person_id    text   not null,
    connection   text   not null,
    seat         text   not null, -- JSON
    reasons      text   not null, -- JSON
    decision     text   not null,
    by_whom      text   not null,
    because      text   not null,
    decided_at   bigint not null,
    case_id      text   not null,
    after        text   not null, -- JSON; empty: not compared
    joined       bigint not null,
    primary key (review_id, organization, address_key)
);
-- +goose StatementEnd
