-- Messages that leave the process, and tasks that outlive their case.

-- +goose Up
-- +goose StatementBegin

-- A message is written with what it tells of and sent later. Recipient is an
-- address, or # and the name of a channel; case_id is empty for announcements.
create table message (
    id         text   not null primary key,
    case_id    text   not null,
    msg_key    text   not null,
    recipient  text   not null,
    about      text   not null,
    subject    text   not null,
    body       text   not null,
    task_key   text   not null, -- the task whose link it carries; empty: none
    approve    boolean not null, -- its link approves the case
    state      text   not null,
    attempts   bigint not null,
    first_at   bigint not null, -- of the first attempt
    next_at    bigint not null, -- of the next attempt, or when the lease of one ends
    created_at bigint not null,
    sent_at    bigint not null,
    error      text   not null,
    unique (case_id, msg_key, recipient)
);
create index message_due on message (next_at) where state = 'pending';
-- +goose StatementEnd
