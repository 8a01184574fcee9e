-- LockSetting reads a setting, empty where it was never saved, and keeps other
-- writers away from it until the transaction ends.
-- name: LockSetting :one
insert into setting (name, value) values (@name, '')
on conflict (name) do update set name = excluded.name
returning value;

-- name: SaveSetting :exec
update setting set value = @value where name = @name;

-- ObservedLast lists the people whose latest case ended as observed, since a moment.
-- name: ObservedLast :many
select c.person_id, c.reason from cases c
where c.closed_at > 0 and c.closed_at >= @since and c.outcome = 'observed'
    and not exists (select 1 from cases d where d.person_id = c.person_id and d.id > c.id)
order by c.person_id;
