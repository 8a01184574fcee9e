-- PauseSet begins a pause, or returns the one in force.
-- name: PauseSet :one
insert into pause (name, by_whom, why, at) values ('all', @by_whom, @why, @at)
on conflict (name) do update set name = excluded.name
returning by_whom, why, at;

-- name: PauseState :many
select by_whom, why, at from pause where name = 'all';

-- name: PauseClear :many
delete from pause where name = 'all' returning by_whom, why, at;

-- name: InsertPastPause :exec
insert into pause_past (id, by_whom, why, at, ended_at, ended_by, ended_why)
values (@id, @by_whom, @why, @at, @ended_at, @ended_by, @ended_why);

-- name: PastPauses :many
select * from pause_past where ended_at > 0 order by ended_at desc, id desc limit @most;
