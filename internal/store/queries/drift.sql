-- name: SweepOf :one
select * from sweep where organization = @organization;

-- name: Sweeps :many
select * from sweep order by organization;

-- LockSweep makes the row where there is none, and keeps others away.
-- name: LockSweep :one
insert into sweep (organization, number, running, asked_at, asked_by, started_at, beat_at, finished_at, trusted_at, members,
    note, failed, audit_until, admins_at)
values (@organization, 0, false, 0, '', 0, 0, 0, 0, 0, '', '', 0, 0)
on conflict (organization) do update set organization = excluded.organization
returning *;

-- name: SaveSweep :exec
update sweep set number = @number, running = @running, asked_at = @asked_at, asked_by = @asked_by, started_at = @started_at,
    beat_at = @beat_at, finished_at = @finished_at, trusted_at = @trusted_at, members = @members, note = @note, failed = @failed,
    audit_until = @audit_until, admins_at = @admins_at, claim = @claim, list_next = @list_next, list_total = @list_total,
    list_ever = @list_ever
where organization = @organization;

-- name: BeatSweep :execrows
update sweep set beat_at = @beat_at, list_next = @list_next, list_total = @list_total, list_ever = @list_ever
where organization = @organization and number = @number and claim = @claim and running;

-- FreeSweeps is for a start, when no other process can be at work.
-- name: FreeSweeps :exec
update sweep set running = false, asked_at = @asked_at where running;

-- name: SeeSeat :exec
insert into member (organization, address_key, address, name, name_key, plain_key, role, pending, sweep, first_seen, last_seen, gone_at)
values (@organization, @address_key, @address, @name, @name_key, @plain_key, '', @pending, @sweep, @at, @at, 0)
on conflict (organization, address_key) do update set
    address = excluded.address, name = excluded.name, name_key = excluded.name_key, pending = excluded.pending,
    role = case when member.gone_at > 0 then '' else member.role end,
    first_seen = case when member.gone_at > 0 then excluded.first_seen else member.first_seen end,
    sweep = excluded.sweep, last_seen = excluded.last_seen, gone_at = 0;

-- name: SeeSeatGroup :exec
insert into member_group (organization, address_key, group_id, group_name, sweep, first_seen)
values (@organization, @address_key, @group_id, @group_name, @sweep, @first_seen)
on conflict (organization, address_key, group_id) do update set group_name = excluded.group_name, sweep = excluded.sweep;

-- UnseenGroups are the groups that had somebody in them before, and of which a
-- sweep has seen nobody.
-- name: UnseenGroups :many
select group_id, cast(max(group_name) as text) as group_name from member_group where organization = @organization
group by group_id having max(sweep) < @sweep order by group_id limit @most;

-- KnownGroups are some groups that had somebody in them at the last comparison.
-- name: KnownGroups :many
select distinct group_id from member_group where organization = @organization order by group_id limit @most;

-- name: ForgetSeatGroups :exec
delete from member_group where organization = @organization and sweep < @sweep;

-- name: ForgetRoles :exec
update member set role = '' where organization = @organization and role <> '';

-- name: SetRole :exec
update member set role = @role where organization = @organization and address_key = @address_key;

-- name: AdminsSwept :many
select address from member where organization = @organization and sweep = @sweep and gone_at = 0 and role = @role
order by address_key limit @most;

-- name: SeatOf :one
select * from member where organization = @organization and address_key = @address_key;

-- name: OrganizationsWithSeat :many
select organization from member where address_key = @address_key and gone_at = 0 order by organization;

-- name: SeatsAfter :many
select * from member where organization = @organization and address_key > @after and gone_at = 0
order by address_key limit @most;

-- name: SeatsSwept :many
select * from member where organization = @organization and sweep = @sweep and address_key > @after and gone_at = 0
order by address_key limit @most;

-- MissingSeats lists who was there and was not seen, but for those whom a case
-- removed since they were seen last.
-- name: MissingSeats :many
select m.* from member m where m.organization = @organization and m.sweep < @sweep and m.gone_at = 0
    and not exists (select 1 from cases c where c.address_key = m.address_key and c.removed_at > 0 and c.removed_at >= m.last_seen)
order by m.address_key limit @most;

-- MissingSuspects lists the missing whose absence would resolve a finding or
-- open one, but for those whom a case removed and proved gone.
-- name: MissingSuspects :many
select m.* from member m where m.organization = @organization and m.sweep < @sweep and m.gone_at = 0
    and (exists (select 1 from finding f where f.organization = m.organization and f.address_key = m.address_key and f.state <> 'resolved')
        or exists (select 1 from cases l where l.address_key = m.address_key and l.closed_at = 0))
    and not exists (select 1 from cases c where c.address_key = m.address_key and c.verified_at > 0 and c.removed_at >= m.last_seen)
order by m.address_key limit @most;

-- WatchedUnseen lists addresses whose removal was proven after a moment, and that
-- a sweep did not see.
-- name: WatchedUnseen :many
select c.address from cases c where c.closed_at > 0 and c.closed_at > @since and c.verified_at > 0 and c.removed_at > @since
    and not exists (select 1 from member m where m.organization = @organization and m.address_key = c.address_key and m.sweep = @sweep)
order by c.id limit @most;

-- name: MarkGone :exec
update member set gone_at = @gone_at, role = '' where organization = @organization and sweep < @sweep and gone_at = 0;

-- name: GroupsOfSeat :many
select * from member_group where organization = @organization and address_key = @address_key order by group_name, group_id;

-- GroupsWithoutSeat lists who is in a group and has no seat.
-- name: GroupsWithoutSeat :many
select g.address_key, cast(min(g.first_seen) as bigint) as first_seen from member_group g
where g.organization = @organization and g.sweep = @sweep and g.address_key > @after
    and not exists (select 1 from member m where m.organization = g.organization and m.address_key = g.address_key and m.gone_at = 0)
group by g.address_key order by g.address_key limit @most;

-- name: InsertSeatEvent :exec
insert into seat_event (organization, address_key, at, action, actor)
values (@organization, @address_key, @at, @action, @actor)
on conflict (organization, address_key, at, action) do nothing;

-- Watched tells whether the audit log's entries about an address are kept.
-- name: Watched :one
select cast(
    (select count(*) from (select 1 from cases c where c.address_key = @address_key and c.closed_at = 0 limit 1) l)
    + (select count(*) from (select 1 from cases d where d.address_key = @address_key and d.closed_at > @since limit 1) e)
    + (select count(*) from member m where m.organization = @organization and m.address_key = @address_key and m.first_seen >= @new_since)
as bigint);

-- name: ForgetSeatEvents :exec
delete from seat_event where at < @until;

-- SaveFinding keeps what a person said about a finding until it ends, the leaver
-- is back once more, or it has become critical.
-- name: SaveFinding :one
insert into finding (
    id, kind, severity, organization, object, connection, address, address_key, person_id, case_id, reason, body, cause,
    proposed, data, first_seen, last_seen, sweep, state, ack_by, ack_why, ack_until, resolved_at, rounds, told_at, noted_in, resolved_why
) values (
    @id, @kind, @severity, @organization, @object, @connection, @address, @address_key, @person_id, @case_id, @reason, @body, @cause,
    @proposed, @data, @now, @now, @sweep, 'open', '', '', 0, 0, @rounds, 0, '', ''
) on conflict (kind, organization, object) do update set
    severity = excluded.severity, connection = excluded.connection, address = excluded.address, address_key = excluded.address_key,
    person_id = excluded.person_id, case_id = excluded.case_id, reason = excluded.reason, body = excluded.body, cause = excluded.cause,
    proposed = excluded.proposed, data = excluded.data, last_seen = excluded.last_seen, sweep = excluded.sweep,
    first_seen = case when finding.state = 'resolved' then excluded.first_seen else finding.first_seen end,
    state = case when finding.state = 'acknowledged' and finding.ack_until > excluded.last_seen and not (finding.rounds < excluded.rounds or finding.severity <> 'critical' and excluded.severity = 'critical')
        then finding.state else 'open' end,
    ack_by = case when finding.state = 'resolved' or (finding.rounds < excluded.rounds or finding.severity <> 'critical' and excluded.severity = 'critical') then '' else finding.ack_by end,
    ack_why = case when finding.state = 'resolved' or (finding.rounds < excluded.rounds or finding.severity <> 'critical' and excluded.severity = 'critical') then '' else finding.ack_why end,
    ack_until = case when finding.state = 'resolved' or (finding.rounds < excluded.rounds or finding.severity <> 'critical' and excluded.severity = 'critical') then 0 else finding.ack_until end,
    told_at = case when finding.state = 'open' and not (finding.rounds < excluded.rounds or finding.severity <> 'critical' and excluded.severity = 'critical') then finding.told_at else 0 end,
    resolved_at = 0, resolved_why = '', rounds = excluded.rounds
returning *;

-- name: NoteFinding :exec
update finding set noted_in = @noted_in where id = @id;

-- name: FindingsOver :many
select * from finding where organization = @organization and sweep < @sweep and state <> 'resolved' and id > @after
order by id limit @most;

-- name: ResolveFinding :exec
update finding set state = 'resolved', resolved_at = @resolved_at, resolved_why = @resolved_why, noted_in = '' where id = @id;

-- name: FindingsToTell :many
select * from finding where organization = @organization and state <> 'resolved' and state = 'open' and severity = 'critical'
    and told_at = 0 order by id;

-- name: ToldFindings :exec
update finding set told_at = @told_at where organization = @organization and state <> 'resolved' and state = 'open'
    and severity = 'critical' and told_at = 0;

-- name: LockFinding :one
update finding set rounds = rounds where id = @id returning *;

-- name: FindingByID :one
select * from finding where id = @id;

-- name: FindingsBefore :many
select * from finding where severity = @severity and id < @before
    and (cast(@kind as text) = '' or kind = @kind)
    and (cast(@organization as text) = '' or organization = @organization)
    and (cast(@everything as boolean) or state = 'open' or (state = 'acknowledged' and ack_until <= @now))
order by id desc limit @most;

-- name: AcknowledgeFinding :exec
update finding set state = 'acknowledged', ack_by = @ack_by, ack_why = @ack_why, ack_until = @ack_until where id = @id;

-- name: LinkFinding :exec
update finding set case_id = @case_id where id = @id;

-- name: CountFindings :many
select kind, severity, count(*) as number from finding
where state <> 'resolved' and (state = 'open' or (state = 'acknowledged' and ack_until <= @now))
group by kind, severity;

-- name: DeadOwners :many
select o.owner_key, count(*) as number from owned_asset o
where o.organization = @organization and not o.free_text and o.owner_key like '%@%' and o.owner_key > @after
    and not exists (select 1 from member m where m.organization = o.organization and m.address_key = o.owner_key and m.gone_at = 0)
group by o.owner_key order by o.owner_key limit @most;

-- name: SomeAssets :many
select kind, project, remote_id, name from owned_asset
where organization = @organization and owner_key = @owner_key and not free_text
order by project, kind, remote_id limit @most;

-- name: CountLists :one
select count(*) from owned_list where organization = @organization;

-- name: RecentCases :many
select * from cases where id > @after and (closed_at = 0 or closed_at > @since) order by id limit @most;

-- WatchedCases lists the ended cases whose address is watched.
-- name: WatchedCases :many
select * from cases where outcome = 'removed' and watch_ended_at = 0 and closed_at > 0 and id > @after order by id limit @most;

-- name: EndWatch :execrows
update cases set watch_ended_at = @at where id = @id and watch_ended_at = 0;

-- name: CountNotes :one
select count(*) from timeline where case_id = @case_id and kind = @kind;
