-- name: InsertGroup :execrows
insert into scim_group (
    id, connection, display_name, display_key, external_id, access_name, version, created_at, modified_at, deleted_at
) values (@id, @connection, @display_name, @display_key, @external_id, '', 1, @created_at, @modified_at, 0)
on conflict (id) do nothing;

-- LockGroup reads a group and keeps other writers away until the transaction ends.
-- name: LockGroup :one
update scim_group set version = version where id = @id returning *;

-- name: SaveGroup :exec
update scim_group set
    display_name = @display_name, display_key = @display_key, external_id = @external_id, access_name = @access_name, former = @former,
    version = @version, modified_at = @modified_at, deleted_at = @deleted_at
where id = @id;

-- name: GroupByID :one
select * from scim_group where id = @id and connection = @connection and deleted_at = 0;

-- name: GroupsNamed :many
select * from scim_group where connection = @connection and display_key = @display_key and deleted_at = 0 order by id;

-- name: GroupsByExternalID :many
select * from scim_group where connection = @connection and external_id = @external_id and deleted_at = 0 order by id;

-- name: AccessGroups :many
select * from scim_group where connection = @connection and access_name <> '' and deleted_at = 0 order by id;

-- name: AccessGroupNamed :many
select id from scim_group where connection = @connection and access_name = @access_name and access_name <> '' and deleted_at = 0;

-- name: MemberIDs :many
select person_id from membership where group_id = @group_id order by person_id;

-- name: MemberSample :one
select count(*) from (select m.person_id from membership m where m.group_id = @group_id limit @most) as sample;

-- name: Members :many
select p.id, p.display_name, p.user_name from membership m join person p on p.id = m.person_id
where m.group_id = @group_id and p.deleted_at = 0 order by m.person_id;

-- name: EndGroup :exec
delete from membership where group_id = @group_id;
