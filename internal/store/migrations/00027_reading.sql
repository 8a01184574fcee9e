-- +goose Up
-- +goose StatementBegin

-- One row for each organization: the reading of its member list, which all processes share.
create table reading (
    organization  text   not null primary key,
    number        bigint not null, -- of the newest that began
    began_at      bigint not null,
    reader        text   not null, -- the process that is at it; empty: nobody
    moved_at      bigint not null,
    pages         bigint not null,
    rest_until    bigint not null,
    starter       text   not null, -- the look that was told to begin the next one
    doubt_until   bigint not null,
    size          bigint not null, -- members as last announced; -1: not known
    blocks        bigint not null,
    list          bigint not null, -- number of the newest list that counts; 0: there is none
    list_began_at bigint not null
);

-- That list, packed. It stands apart because the row above changes with every page.
create table reading_list (
    organization text   not null primary key,
    number       bigint not null,
    began_at     bigint not null,
    packed       bytea  not null
);

-- Looks that may share a reading.
create table reading_look (
    organization text   not null,
    look         text   not null,
    first_at     bigint not null,
    until_at     bigint not null, -- when it comes again; 0: it does not wait
    primary key (organization, look)
);
-- +goose StatementEnd
