-- +goose Up
-- +goose StatementBegin
create table review_word (
    review_id    text   not null,
    organization text   not null,
    address_key  text   not null,
    number       bigint not null, -- in the order in which they were said
    decision     text   not null, -- empty: the one before was taken back
    by_whom      text   not null,
    because      text   not null,
    said_at      bigint not null,
    primary key (review_id, address_key, organization, number)
);

alter table review_item add column note text not null default '';

create index review_item_address on review_item (review_id, address_key);
-- +goose StatementEnd
