-- name: AdminReading :one
select * from admin_reading where organization = @organization;

-- name: SaveAdminReading :exec
insert into admin_reading (organization, began_at, projects) values (@organization, @began_at, @projects)
on conflict (organization) do update set began_at = excluded.began_at, projects = excluded.projects
where admin_reading.began_at < excluded.began_at;

-- LockAdmins keeps others who take something from an admin of the organization
-- waiting until the transaction ends.
-- name: LockAdmins :exec
insert into admin_reading (organization, began_at, projects) values (@organization, 0, '[]')
on conflict (organization) do update set organization = excluded.organization;

-- LosesAccess counts what whoever holds an address loses in an organization: what
-- a live case of theirs began to take, and what any case took since a moment. A
-- mover stays, and keeps what the reading after the change still shows. prefix
-- is how the organization's objects begin, undone how those that give back do.
-- name: LosesAccess :one
select count(*) from effect e join cases c on c.id = e.case_id
where c.id in (
        select o.id from person_address a join cases o on o.person_id = a.person_id where a.value_key = @address_key
        union all select s.id from cases s where s.address_key = @address_key and s.closed_at = 0
    )
    and e.step in ('contain', 'revoke', 'remove')
    and substr(e.object, 1, length(cast(@prefix as text))) = cast(@prefix as text)
    and substr(e.object, 1, length(cast(@undone as text))) <> cast(@undone as text)
    and (e.intended_at >= @since or e.done_at >= @since or c.closed_at = 0 and (e.step <> 'revoke' or e.state = 'intended'));
