-- A rotation is carried by itself: it has a time of its own, a lease, and a task
-- that outlives the case in which it was opened.

-- +goose Up
-- +goose StatementBegin
alter table rotation add column configured text not null default '';
alter table rotation add column detail text not null default '';
alter table rotation add column due_at bigint not null default 0;
alter table rotation add column wake_at bigint not null default 0;
alter table rotation add column lease_until bigint not null default 0;
alter table rotation add column epoch bigint not null default 0;
update rotation set wake_at = retire_at where state = 'minted';
update rotation set wake_at = 1 where state = 'open';
create index rotation_due on rotation (wake_at) where wake_at > 0;

alter table task add column rotation_id text not null default '';
create index task_rotation on task (rotation_id) where rotation_id <> '';
-- +goose StatementEnd
