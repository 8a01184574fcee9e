-- Personal links, and what an approval needs beyond a name.

-- +goose Up
-- +goose StatementBegin

create table link (
    hash       text    not null primary key,
    case_id    text    not null,
    task_id    text    not null, -- empty: the link is for approving the case
    person     text    not null, -- address
    created_at bigint  not null,
    expires_at bigint  not null,
    used_at    bigint  not null,
    ended_at   bigint  not null, -- what it was for was settled without it
    notes      bigint  not null, -- sentences that it has put into the timeline
    noted_at   bigint  not null
);
create index link_case on link (case_id, task_id);

alter table approval add column via text not null default '';
alter table approval add column attachments text not null default '';
-- +goose StatementEnd
