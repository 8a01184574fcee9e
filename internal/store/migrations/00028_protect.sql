-- Protection that outlives what takes it away, and which guard a case stands before.

-- +goose Up
-- +goose StatementBegin
alter table person add column shield text not null default '';     -- what they were when they were last protected; empty: nothing is kept
alter table scim_group add column former text not null default ''; -- earlier names and external ids, one a line
alter table cases add column guard text not null default '';       -- the guard whose refusal the note tells; empty: none
-- +goose StatementEnd
