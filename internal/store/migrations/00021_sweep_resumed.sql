-- A comparison goes on in another process where it stood.

-- +goose Up
-- +goose StatementBegin
alter table sweep add column claim bigint not null default 0; -- grows with each process that works at it
alter table sweep add column list_next bigint not null default 0; -- position of the member list that is read next; 0: nothing to go on with
alter table sweep add column list_total bigint not null default 0; -- members announced last
alter table sweep add column list_ever bigint not null default 0; -- members announced in all
-- +goose StatementEnd
