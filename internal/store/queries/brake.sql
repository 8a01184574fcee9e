-- LockBrake keeps other writers away from a scope's brake until the transaction ends.
-- name: LockBrake :one
insert into brake_scope (scope, name, since) values (@scope, @name, 0)
on conflict (scope, name) do update set name = excluded.name
returning since;

-- name: EngagedBrake :one
select * from brake where scope = @scope and name = @name and released_at = 0;

-- name: EngagedBrakes :many
select * from brake where released_at = 0 order by scope, name;

-- name: EndedBrakes :many
select * from brake where released_at > 0 order by released_at desc limit @most;

-- name: BrakeByID :one
select * from brake where id = @id;

-- name: EngageBrake :exec
insert into brake (id, scope, name, because, engaged_at, released_at, by_whom, why)
values (@id, @scope, @name, @because, @engaged_at, 0, '', '');

-- name: EndBrake :execrows
update brake set released_at = @released_at, by_whom = @by_whom, why = @why where id = @id and released_at = 0;

-- name: CountFrom :exec
update brake_scope set since = @since where scope = @scope and name = @name;

-- CountOrdinary counts the ordinary cases of a connection that began to count
-- between two moments, up to a number, besides one. What was cancelled changed
-- nothing, and what a person let go on was looked at. With read, the moment of
-- the organization's last comparison, it counts those whom that saw there, whom
-- it could not have seen, and whose case found a seat later.
-- name: CountOrdinary :one
select count(*) from (
    select c.id from cases c
    where c.connection = @connection and c.counted_at > @since and c.counted_at <= @until and c.plan <> 'emergency'
        and c.outcome <> 'cancelled' and not c.cleared and c.id <> @besides
        and (cast(@read as bigint) = 0
            or exists (select 1 from member m where m.organization = @organization and m.address_key = c.address_key and m.gone_at = 0)
            or exists (select 1 from person p where p.id = c.person_id and p.address_since > cast(@read as bigint))
            or exists (select 1 from late_seat l where l.case_id = c.id and l.organization = @organization))
    limit @most
) as counted;

-- name: CountUrgent :one
select count(*) from (
    select c.id from cases c
    where c.connection = @connection and c.counted_at > @since and c.counted_at <= @until and c.plan = 'emergency' and c.id <> @besides
    limit @most
) as counted;

-- name: WindowCases :many
select c.id from cases c
where c.connection = @connection and c.counted_at > @since and c.counted_at <= @until and c.plan <> 'emergency' and c.closed_at = 0
    and c.state <> 'held' and not c.cleared and c.id <> @besides
    and (cast(@read as bigint) = 0
        or exists (select 1 from member m where m.organization = @organization and m.address_key = c.address_key and m.gone_at = 0)
        or exists (select 1 from person p where p.id = c.person_id and p.address_since > cast(@read as bigint))
        or exists (select 1 from late_seat l where l.case_id = c.id and l.organization = @organization))
order by c.id;

-- name: InsertLateSeat :execrows
insert into late_seat (case_id, organization) values (@case_id, @organization) on conflict (case_id, organization) do nothing;

-- ClearBatch says of every case of a brake that a person looked at it.
-- name: ClearBatch :exec
update cases set cleared = true where batch = @batch and batch <> '' and state <> 'held' and not cleared;

-- name: MarkCase :exec
update cases set batch = @batch, braked = @braked, cleared = @cleared, override = @override, counted_at = @counted_at where id = @id;

-- name: CasesOfBatch :many
select * from cases where batch = @batch and batch <> '' and id > @after order by id limit @most;

-- name: EffectsInBatch :many
select e.* from effect e join cases c on c.id = e.case_id
where c.batch = @batch and c.batch <> '' and c.id > @after and c.id <= @last order by e.case_id, e.key;

-- name: RotationsInBatch :many
select rc.case_id, r.state, r.minted_at, r.detail from rotation_case rc join cases c on c.id = rc.case_id join rotation r on r.id = rc.rotation_id
where c.batch = @batch and c.batch <> '' and c.id > @after and c.id <= @last order by rc.case_id, r.id;

-- name: HeldInBatch :one
select count(*) from cases where batch = @batch and batch <> '' and state = 'held' and not cleared;

-- name: SizeOfBatch :one
select count(*) from cases where batch = @batch and batch <> '';

-- LiveUnbegun are the live cases that stand still for nobody: what a change of
-- mode may not set in motion.
-- name: LiveUnbegun :many
select id from cases where closed_at = 0 and state in ('waiting', 'running', 'verifying') order by id;
