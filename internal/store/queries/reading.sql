-- name: ReadingOf :one
select * from reading where organization = @organization;

-- LockReading makes the row where there is none, and keeps others away.
-- name: LockReading :one
insert into reading (organization, number, began_at, reader, moved_at, pages, rest_until, starter, doubt_until, size, blocks, list, list_began_at)
values (@organization, 0, 0, '', 0, 0, 0, '', 0, -1, 1, 0, 0)
on conflict (organization) do update set organization = excluded.organization
returning *;

-- name: SaveReading :exec
update reading set number = @number, began_at = @began_at, reader = @reader, moved_at = @moved_at, pages = @pages,
    rest_until = @rest_until, starter = @starter, doubt_until = @doubt_until, size = @size, blocks = @blocks, list = @list,
    list_began_at = @list_began_at
where organization = @organization;

-- FreeReadings ends the readings of a process that died.
-- name: FreeReadings :exec
update reading set reader = '' where reader <> '';

-- name: SaveReadingLook :exec
insert into reading_look (organization, look, first_at, until_at) values (@organization, @look, @first_at, @until_at)
on conflict (organization, look) do update set until_at = excluded.until_at;

-- CountReadingLooks counts other looks that came since a time, or wait until another:
-- beyond so many it makes no difference.
-- name: CountReadingLooks :one
select count(*) from (
    select f.look from (
        select a.look from reading_look a
        where a.organization = @organization and a.look <> @look and a.first_at >= @since limit @most
    ) f
    union
    select u.look from (
        select b.look from reading_look b
        where b.organization = @organization and b.look <> @look and b.until_at >= @waiting limit @most
    ) u
) counted;

-- name: ForgetReadingLooks :exec
delete from reading_look where organization = @organization and first_at < @since;

-- ForgetReadingLooksAhead forgets those from before the clock was set back.
-- name: ForgetReadingLooksAhead :exec
delete from reading_look where organization = @organization and first_at > @now;

-- name: SaveReadingList :exec
insert into reading_list (organization, number, began_at, packed) values (@organization, @number, @began_at, @packed)
on conflict (organization) do update set number = excluded.number, began_at = excluded.began_at, packed = excluded.packed;

-- name: ReadingList :one
select * from reading_list where organization = @organization;

-- LikelySeats lists the seats with the same address but for its plus part, or the same name.
-- name: LikelySeats :many
select m.address_key from member m where m.organization = @organization and m.gone_at = 0 and m.plain_key = @plain_key
union
select n.address_key from member n where n.organization = @organization and n.gone_at = 0 and n.name_key <> '' and n.name_key = @name_key;
