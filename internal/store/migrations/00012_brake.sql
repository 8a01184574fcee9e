-- The brake: when many cases open at once, and what an operator said about it.

-- +goose Up
-- +goose StatementBegin

alter table cases add column braked boolean not null default false;  -- batch is the id of a brake
alter table cases add column cleared boolean not null default false; -- a person let the case go on: no brake catches it again
alter table cases add column override text not null default '';      -- which guards a person let it pass
alter table cases add column counted_at bigint not null default 0;   -- when it began to count for the brake; 0: it does not
create index cases_counted on cases (connection, counted_at) where plan <> 'emergency';
create index cases_urgent on cases (connection, counted_at) where plan = 'emergency';
create index cases_batch on cases (batch, id) where batch <> '';

-- What a brake counts for: an organization, or a connection's emergencies.
create table brake_scope (
    scope   text   not null,
    name    text   not null,
    since   bigint not null, -- cases up to then were looked at by a person
    primary key (scope, name)
);

-- One row for each time a brake engaged. Its id is the batch of what it caught.
create table brake (
    id          text   not null primary key,
    scope       text   not null,
    name        text   not null,
    because     text   not null,
    engaged_at  bigint not null,
    released_at bigint not null,
    by_whom     text   not null,
    why         text   not null
);
create unique index brake_engaged on brake (scope, name) where released_at = 0;
create index brake_ended on brake (released_at) where released_at > 0;
-- +goose StatementEnd
