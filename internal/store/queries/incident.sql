-- InsertAdopted inserts a person whom no identity provider sent: deleted from
-- the start, so that nothing of SCIM ever sees them.
-- name: InsertAdopted :execrows
insert into person (
    id, connection, external_id, user_name, user_name_key, display_name, display_key, given_name, family_name,
    address, address_key, address_since, emails, manager, manager_key, department, title, active, claims, removal,
    resource, version, created_at, modified_at, deleted_at
) values (
    @id, @connection, '', @address, @address_key, '', '', '', '',
    @address, @address_key, @now, '', '', '', '', '', false, '', '',
    '', 1, @now, @now, @now
) on conflict do nothing;

-- name: SweptAssets :many
select * from owned_asset where organization = @organization and owner_key = @owner_key
order by project, list, remote_id;

-- name: ForgetSwept :exec
delete from owned_asset where organization = @organization and project = @project and list = @list and seen_at < @seen_at;

-- name: SaveSweptList :exec
insert into owned_list (organization, project, list, entries, truncated, seen_at)
values (@organization, @project, @list, @entries, @truncated, @seen_at)
on conflict (organization, project, list) do update set
    entries = excluded.entries, truncated = excluded.truncated, seen_at = excluded.seen_at;

-- name: SweptLists :many
select * from owned_list where organization = @organization order by project, list;

-- name: SaveActivity :exec
insert into activity (organization, address_key, last_login, last_seen)
values (@organization, @address_key, @last_login, @last_seen)
on conflict (organization, address_key) do update set
    last_login = case when excluded.last_login > activity.last_login then excluded.last_login else activity.last_login end,
    last_seen = case when excluded.last_seen > activity.last_seen then excluded.last_seen else activity.last_seen end;

-- name: ActivityOf :one
select * from activity where organization = @organization and address_key = @address_key;

-- name: ActivityMark :one
select * from activity_mark where organization = @organization;

-- name: SaveActivityMark :exec
insert into activity_mark (organization, known_from, read_to) values (@organization, @known_from, @read_to)
on conflict (organization) do update set known_from = excluded.known_from, read_to = excluded.read_to;

-- name: ForgetActivity :exec
delete from activity where organization = @organization and last_seen < @last_seen;

-- name: InsertTransfer :execrows
insert into bulk_transfer (organization, from_key, at, to_key, by_whom, project, raw)
values (@organization, @from_key, @at, @to_key, @by_whom, @project, @raw)
on conflict (organization, from_key, at, to_key) do nothing;

-- name: TransfersFrom :many
select * from bulk_transfer where organization = @organization and from_key = @from_key order by at;

-- name: ForgetTransfers :exec
delete from bulk_transfer where organization = @organization and at < @at;

-- name: LiveCasesAt :many
select id from cases where address_key = @address_key and closed_at = 0;

-- HandoversToNobody finds the cases that wait for a successor who is inactive
-- or leaving.
-- name: HandoversToNobody :many
select distinct t.case_id from task t join cases k on k.id = t.case_id
where t.state = 'open' and t.kind = 'handover' and t.successor <> '' and k.closed_at = 0 and not exists (
    select 1 from person_address a join person p on p.id = a.person_id
    where a.value_key = lower(t.successor) and p.deleted_at = 0 and p.active
        and not exists (select 1 from cases c where c.person_id = p.id and c.closed_at = 0)
) order by t.case_id;
