-- How long a case was held: the time for its handover does not run meanwhile.

-- +goose Up
-- +goose StatementBegin
alter table cases add column held_ms bigint not null default 0;
alter table cases add column held_since bigint not null default 0; -- 0: it is not held
-- +goose StatementEnd
