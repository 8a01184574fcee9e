-- The pauses that are over. The one in force is the row of pause.

-- +goose Up
-- +goose StatementBegin
create table pause_past (
    id        text   not null primary key,
    by_whom   text   not null,
    why       text   not null,
    at        bigint not null,
    ended_at  bigint not null,
    ended_by  text   not null,
    ended_why text   not null
);
create index pause_past_ended on pause_past (ended_at, id);
-- +goose StatementEnd
