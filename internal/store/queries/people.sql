-- name: InsertPerson :execrows
insert into person (
    id, connection, external_id, user_name, user_name_key, display_name, display_key, given_name, family_name,
    address, address_key, address_since, emails, manager, manager_key, department, title, active, claims, removal,
    resource, version, created_at, modified_at, deleted_at
) values (
    @id, @connection, @external_id, @user_name, @user_name_key, @display_name, @display_key, @given_name, @family_name,
    @address, @address_key, @address_since, @emails, @manager, @manager_key, @department, @title, @active, @claims, '',
    @resource, 1, @created_at, @modified_at, 0
) on conflict do nothing;

-- name: SavePerson :exec
update person set
    external_id = @external_id, user_name = @user_name, user_name_key = @user_name_key, display_name = @display_name,
    display_key = @display_key, given_name = @given_name, family_name = @family_name, emails = @emails,
    manager = @manager, manager_key = @manager_key, department = @department, title = @title, active = @active,
    claims = @claims, resource = @resource, version = @version, modified_at = @modified_at, deleted_at = @deleted_at
where id = @id;

-- SavePersonState leaves alone what other people's rows and most indexes hang on.
-- name: SavePersonState :exec
update person set
    active = @active, claims = @claims, resource = @resource, version = @version, modified_at = @modified_at
where id = @id;

-- name: PersonByID :one
select * from person where id = @id and connection = @connection and deleted_at = 0;

-- name: PersonByExternalID :one
select * from person where connection = @connection and external_id = @external_id and deleted_at = 0
order by id limit 1;

-- name: PersonByUserName :one
select * from person where connection = @connection and user_name_key = @user_name_key and deleted_at = 0;

-- name: PersonByEmail :one
select p.* from person_address a join person p on p.id = a.person_id
where a.value_key = @value_key and a.connection = @connection and a.kind = 'email' and p.deleted_at = 0
order by p.active desc, p.id limit 1;

-- name: InsertAddress :exec
insert into person_address (person_id, connection, kind, value_key, since)
values (@person_id, @connection, @kind, @value_key, @since)
on conflict (person_id, kind, value_key) do nothing;

-- name: DeleteAddress :exec
delete from person_address where person_id = @person_id and kind = @kind and value_key = @value_key;

-- GroupsOf includes groups that were deleted while they protected somebody.
-- name: GroupsOf :many
select g.id, g.display_name, g.external_id, g.former, g.access_name, g.deleted_at from membership m join scim_group g on g.id = m.group_id
where m.person_id = @person_id order by g.display_name, g.id;

-- name: EndMemberships :exec
delete from membership where person_id = @person_id;

-- name: TouchGroupsOf :exec
update scim_group set version = version + 1, modified_at = @modified_at
where id in (select m.group_id from membership m where m.person_id = @person_id);
