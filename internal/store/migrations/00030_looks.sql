-- +goose Up
-- +goose StatementBegin
-- Thousands of leavers look at once, and each counts the others.
create index reading_look_first on reading_look (organization, first_at);
create index reading_look_until on reading_look (organization, until_at);
-- +goose StatementEnd
