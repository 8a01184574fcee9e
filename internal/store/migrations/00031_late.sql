-- +goose Up
-- +goose StatementBegin
-- Seats that a case found and that the last comparison before it had not seen.
create table late_seat (
    case_id      text not null,
    organization text not null,
    primary key (case_id, organization)
);
-- +goose StatementEnd
