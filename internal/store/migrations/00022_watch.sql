-- What the comparisons learn late about an ended case is written on its timeline, once.

-- +goose Up
-- +goose StatementBegin
alter table finding add column noted_in text not null default '';     -- the case whose timeline says that it is open
alter table finding add column resolved_why text not null default '';
create index finding_severity on finding (severity, id);

alter table cases add column watch_ended_at bigint not null default 0; -- when the watch on the address of a removed seat ended
update cases set watch_ended_at = closed_at where closed_at > 0;       -- nobody kept count of theirs
create index cases_watched on cases (id) where outcome = 'removed' and watch_ended_at = 0;

alter table member_group add column first_seen bigint not null default 0;
create index person_display_deleted on person (display_key) where deleted_at > 0;
-- +goose StatementEnd
