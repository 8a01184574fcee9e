-- +goose Up
-- +goose StatementBegin
alter table review add column trouble text not null default '';
alter table review add column trouble_at bigint not null default 0;
-- +goose StatementEnd
