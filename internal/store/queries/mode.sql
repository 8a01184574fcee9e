-- name: Setting :one
select value from setting where name = @name;

-- name: SaveSetting :exec
insert into setting (name, value) values (@name, @value)
on conflict (name) do update set value = excluded.value;

-- ObservedLast lists the people whose latest case ended as observed.
-- name: ObservedLast :many
select c.person_id, c.reason from cases c
where c.outcome = 'observed' and not exists (select 1 from cases d where d.person_id = c.person_id and d.id > c.id)
order by c.person_id;
