-- +goose Up
-- +goose StatementBegin
-- Who administered an organization's projects when that was last read. Whoever is
-- about to take something from an admin keeps the others away by its row.
create table admin_reading (
    organization text   not null primary key,
    began_at     bigint not null, -- when the reading began; 0: it was never read
    projects     text   not null
);
-- +goose StatementEnd
