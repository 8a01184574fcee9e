-- LockTokens keeps a second new token away until the transaction ends.
-- name: LockTokens :exec
update token set revoked_at = revoked_at where connection = @connection;

-- name: InsertToken :exec
insert into token (id, connection, hash, created_at, expires_at, revoked_at)
values (@id, @connection, @hash, @created_at, @expires_at, 0);

-- name: TokensOf :many
select * from token where connection = @connection order by id;

-- name: TokenByHash :one
select * from token where hash = @hash;

-- name: RevokeToken :execrows
update token set revoked_at = @revoked_at where id = @id and connection = @connection and revoked_at = 0;
