-- When Amplitude asked for a pause, by the clock of the budget: a pause of a time
-- to come is none.

-- +goose Up
-- +goose StatementBegin
alter table budget add column throttled_at bigint not null default 0;
-- +goose StatementEnd
